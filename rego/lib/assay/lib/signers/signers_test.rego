package assay.lib.signers_test

import data.assay.lib.given_test as given
import data.assay.lib.signers

_keyless(subject) := {
	"authority": {"keyless": {}},
	"answer": {
		"ok": true,
		"signatures": [{"id": "1", "issuer": "https://example.com", "subject": subject}],
		"error": null,
	},
}

_key(pem) := {
	"authority": {"key": {"data": pem}},
	"answer": {"ok": true, "attestations": [{"id": "1"}], "error": null},
}

_kms(uri) := {
	"authority": {"key": {"kms": uri}},
	"answer": {"ok": true, "signatures": [{"id": "1", "subject": ""}], "error": null},
}

_absent := {"authority": {"keyless": {}}, "answer": given.refused}

test_enough[note] if {
	some note, asked in {
		"two people": [_keyless("alice"), _keyless("bob")],
		"two keys": [_key("PEM 1"), _key("PEM 2")],
		"a person and a key": [_keyless("alice"), _key("PEM 1")],
		"two keys of a service": [_kms("awskms:///a"), _kms("awskms:///b")],
		"two of three": [_absent, _keyless("alice"), _keyless("bob")],
	}
	signers.fewer_than(2, asked) == set()
}

test_too_few[note] if {
	some note, asked in {
		"one": [_keyless("alice")],
		"one twice": [_keyless("alice"), _keyless("alice")],
		"a key twice": [_key("PEM 1"), _key("PEM\n1\n")],
		"a key twice, once with a comment": [
			_key("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"),
			_key("alice\n-----BEGIN PUBLIC KEY-----\nMFkw-----END PUBLIC KEY-----"),
		],
		"one of whom nothing is known": [_keyless("alice"), {"authority": {}, "answer": _key("").answer}],
	}
	signers.fewer_than(2, asked) == {"signers: got 1 different ones, want 2"}
}

test_the_others_are_told if {
	signers.fewer_than(2, [_absent, _keyless("alice")]) == {
		"signers: got 1 different ones, want 2",
		"signers: nothing there (not_found)",
	}
	signers.fewer_than(1, []) == {"signers: got 0 different ones, want 1"}
	not_ok := {"authority": {}, "answer": {"signatures": [{"subject": "a"}]}}
	signers.fewer_than(1, [not_ok]) == {
		"signers: got 0 different ones, want 1",
		"signers: got an answer that cannot be judged",
	}
}

test_demands[note] if {
	some note, wanted in {"none": 0, "less": -1, "a part": 1.5, "a text": "1", "null": null}
	want := sprintf("signers: got a demand of %v, want a whole number above 0", [wanted])
	signers.fewer_than(wanted, [_keyless("alice")]) == {want}
}
