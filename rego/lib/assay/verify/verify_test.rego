package assay.verify_test

import data.assay.given_test as given
import data.assay.verify

_image := given.image("app")

_keyless(name) := {"name": name, "keyless": {"identities": [{"issuer": "https://issuer", "subject": "me"}]}}

_key(name) := {"name": name, "key": {"data": "PEM"}}

_attested(authority) := object.union(authority, {"attestations": [
	{"name": "built", "predicateType": "slsaprovenance1"},
	{"name": "scanned", "predicateType": "vuln"},
]})

# What the builtins answer, with more than the decision reports.
_signature(id) := {
	"id": id,
	"subject": "me",
	"issuer": "https://issuer",
	"format": "legacy",
	"weaker": [],
	"extensions": {"1.2.3": "x"},
	"log": [],
	"timestamps": [],
}

_signer(id) := {"id": id, "subject": "me", "issuer": "https://issuer", "format": "legacy", "weaker": []}

_passed(name, signers, facts) := {
	"name": name,
	"outcome": "passed",
	"signers": signers,
	"facts": facts,
	"warnings": [],
}

_entry(name, type, found) := {"name": name, "predicateType": type, "found": found, "warnings": []}

_failed(name, code, message) := {
	"name": name,
	"outcome": "failed",
	"signers": [],
	"error": {"code": code, "message": message},
}

# What is told of a failure besides its facts.
_told(outcome) := object.remove(outcome, ["facts"])

mock_signed(_, _) := {"ok": true, "signatures": [_signature("1"), _signature("2")], "error": null}

test_signatures_that_are_accepted if {
	got := verify.signatures(_image, _keyless("a")) with cosign.verify as mock_signed
	signatures := [_signature("1"), _signature("2")]
	got == _passed("a", [_signer("1"), _signer("2")], {"signatures": signatures})
}

mock_empty(_, _) := {"ok": true, "signatures": [], "error": null}

mock_pending(_, _) := answer if {
	some answer in []
}

# A builtin without an answer makes no outcome, and neither does one whose answer
# names nobody.
test_signatures_by_nobody_make_no_outcome if {
	outcomes := {outcome | outcome := verify.signatures(_image, _keyless("a")) with cosign.verify as mock_empty}
	outcomes == set()
}

test_signatures_without_an_answer_make_no_outcome if {
	outcomes := {outcome | outcome := verify.signatures(_image, _keyless("a")) with cosign.verify as mock_pending}
	outcomes == set()
}

# The answer depends on the name of the authority: the code of its error.
mock_refused(_, authority) := {
	"ok": false,
	"signatures": [],
	"error": {"code": authority.name, "message": _messages[authority.name]},
}

_messages := {
	"no_signatures": "no signatures found",
	"identity_mismatch": "no matching signatures: none of the expected identities matched",
	"untrusted_root": "trustRootRef mine not found",
	"not_found": "no matching attestations with type vuln, checked the following predicateTypes: \"spdx\"",
}

_image_refused := {
	"a key": {
		"authority": _key("no_signatures"),
		"code": "no_signatures",
		"text": "signature key validation failed for authority no_signatures for %s: no signatures found (no_signatures)",
	},
	"an identity": {
		"authority": _keyless("identity_mismatch"),
		"code": "identity_mismatch",
		"text": concat("", [
			"signature keyless validation failed for authority identity_mismatch for %s: ",
			"no matching signatures: none of the expected identities matched (identity_mismatch)",
		]),
	},
}

test_signatures_that_are_refused_have_upstreams_texts[note] if {
	some note, case in _image_refused
	got := verify.signatures(_image, case.authority) with cosign.verify as mock_refused
	_told(got) == _failed(case.authority.name, case.code, sprintf(case.text, [_image]))
}

# For explanations, and no part of the decision.
test_signatures_that_are_refused_keep_what_was_looked_at if {
	got := verify.signatures(_image, _key("no_signatures")) with cosign.verify as mock_refused
	got.facts == {"error": {"code": "no_signatures", "message": _messages.no_signatures}}
}

test_signatures_without_their_trust_root_have_upstreams_text if {
	got := verify.signatures(_image, _keyless("untrusted_root")) with cosign.verify as mock_refused
	_told(got) == _failed(
		"untrusted_root", "untrusted_root",
		"constructing checkOpts for untrusted_root: getting SigstoreKeys: trustRootRef mine not found",
	)
}

# An attestation of its own for each type.
mock_both(_, _, type) := {"ok": true, "attestations": [_signature(type)], "error": null}

test_attestations_of_every_entry_pass if {
	got := verify.attestations({"image": _image}, _attested(_keyless("a")), {}) with cosign.attestations as mock_both
	got == _passed("a", [_signer("slsaprovenance1"), _signer("vuln")], {"attestations": [
		_entry("built", "slsaprovenance1", [_signature("slsaprovenance1")]),
		_entry("scanned", "vuln", [_signature("vuln")]),
	]})
}

# Refuses the types that the name of the authority holds, by the type's own code.
mock_some(image, authority, type) := mock_both(image, authority, type) if {
	not contains(authority.name, type)
} else := {"ok": false, "attestations": [], "error": _errors[type]}

_errors := {
	"slsaprovenance1": {"code": "no_signatures", "message": "no matching attestations"},
	"vuln": {"code": "not_found", "message": _messages.not_found},
}

_entries_refused := {
	"the first entry": {
		"authority": _keyless("slsaprovenance1"),
		"error": {"code": "no_signatures", "message": concat("", [
			"attestation keyless validation failed for authority slsaprovenance1 for ", _image,
			": no matching attestations (no_signatures)",
		])},
	},
	"the last entry, verified but for its type": {"authority": _key("vuln"), "error": _errors.vuln},
	"both entries: the first is told": {
		"authority": _key("slsaprovenance1 vuln"),
		"error": {"code": "no_signatures", "message": concat("", [
			"attestation key validation failed for authority slsaprovenance1 vuln for ", _image,
			": no matching attestations (no_signatures)",
		])},
	},
}

test_attestations_want_every_entry[note] if {
	some note, case in _entries_refused
	got := verify.attestations({"image": _image}, _attested(case.authority), {}) with cosign.attestations as mock_some
	_told(got) == _failed(case.authority.name, case.error.code, case.error.message)
}

# For explanations, each entry says what became of it.
test_attestations_that_are_refused_keep_every_entry if {
	got := verify.attestations({"image": _image}, _attested(_key("vuln")), {}) with cosign.attestations as mock_some
	got.facts == {"entries": [
		_entry("built", "slsaprovenance1", [_signature("slsaprovenance1")]),
		{
			"name": "scanned",
			"predicateType": "vuln",
			"error": _errors.vuln,
			"message": _messages.not_found,
			"judged": [],
		},
	]}
}

mock_rootless(_, authority, _) := object.union(mock_refused("", authority), {"attestations": []})

test_attestations_without_their_trust_root_have_upstreams_text if {
	authority := _attested(_keyless("untrusted_root"))
	got := verify.attestations({"image": _image}, authority, {}) with cosign.attestations as mock_rootless
	_told(got) == _failed(
		"untrusted_root", "untrusted_root",
		"creating CheckOpts: getting SigstoreKeys: trustRootRef mine not found",
	)
}

# A registry's not_found keeps the prefix that says of whom and of what.
mock_missing(_, _, _) := {"ok": false, "attestations": [], "error": {"code": "not_found", "message": "GET blob: 404"}}

test_what_a_registry_does_not_have_is_no_other_type if {
	got := verify.attestations({"image": _image}, _attested(_key("a")), {}) with cosign.attestations as mock_missing
	text := sprintf("attestation key validation failed for authority a for %s: GET blob: 404 (not_found)", [_image])
	_told(got) == _failed("a", "not_found", text)
}

mock_by_nobody(_, _, _) := {"ok": true, "attestations": [], "error": null}

# One entry is answered, the other is not there yet.
mock_half(_, _, "vuln") := {"ok": true, "attestations": [_signature("1")], "error": null}

test_attestations_by_nobody_make_no_outcome if {
	outcomes := {outcome |
		outcome := verify.attestations({"image": _image}, _attested(_key("a")), {}) with cosign.attestations as mock_by_nobody
	}
	outcomes == set()
}

test_attestations_of_which_one_has_no_answer_make_no_outcome if {
	outcomes := {outcome |
		outcome := verify.attestations({"image": _image}, _attested(_key("a")), {}) with cosign.attestations as mock_half
	}
	outcomes == set()
}

_judged(verdict) := {"type": "rego", "module": verdict}

# The module of a test's policy is the predicate that it wants.
mock_wants(module, doc) := {"ok": true, "value": doc.predicate == module, "error": null}

_about(id, predicate) := object.union(_signature(id), {"statement": {"predicate": predicate}})

mock_two(_, _, _) := {"ok": true, "attestations": [_about("1", "bad"), _about("2", "good")], "error": null}

_scanned := object.union(_key("a"), {"attestations": [{"name": "scan", "predicateType": "vuln"}]})

# ATT-3: one that satisfies the policy suffices, and only that one counts.
test_any_attestation_that_satisfies_the_policy_suffices if {
	got := verify.attestations({"image": _image}, _scanned, {0: _judged("good")}) with cosign.attestations as mock_two
		with sigstore.is_compliant as mock_wants
	got == _passed("a", [_signer("2")], {"attestations": [_entry("scan", "vuln", [_about("2", "good")])]})
}

# ATT-3: where none does, the first one's cause is told.
test_no_attestation_satisfies_the_policy if {
	got := verify.attestations({"image": _image}, _scanned, {0: _judged("best")}) with cosign.attestations as mock_two
		with sigstore.is_compliant as mock_wants
	got.outcome == "failed"
	got.error.code == "not_compliant"
	startswith(got.error.message, "failed evaluating rego policy for type scan: policy is not compliant for query")
	[judged.fact.id | some judged in got.facts.entries[0].judged] == ["1", "2"]
}

mock_odd(_, _, _) := {"ok": true, "attestations": [odd], "error": null} if {
	odd := object.union(_about("1", "good"), {"document_error": "unmarshaling Statement"})
}

mock_typed(_, _, _) := {"ok": true, "attestations": [typed], "error": null} if {
	typed := object.union(_about("1", "bad"), {"document": {"predicate": "good"}})
}

# ATT-5: where upstream shows another document than the statement, that is judged.
test_the_document_is_judged_where_it_is_another_than_the_statement if {
	got := verify.attestations({"image": _image}, _scanned, {0: _judged("good")}) with cosign.attestations as mock_typed
		with sigstore.is_compliant as mock_wants
	got.outcome == "passed"
}

# ATT-5: a statement that is no document of its type satisfies nothing.
test_an_attestation_that_is_no_document_of_its_type_is_told if {
	got := verify.attestations({"image": _image}, _scanned, {0: _judged("good")}) with cosign.attestations as mock_odd
	_told(got) == _failed("a", "malformed", "unmarshaling Statement (malformed)")
}

mock_warns(_, _) := {"ok": true, "value": [{"result": true, "warning": "old"}], "error": null}

test_an_attestation_may_warn_where_policies_are_strict if {
	got := verify.attestations({"image": _image}, _scanned, {0: _judged("any")}) with cosign.attestations as mock_two
		with sigstore.is_compliant as mock_warns
		with data.assay.config as {"policies": "strict"}
	got.warnings == ["old", "old"]
}

# A policy that says nothing at all is no yes.
mock_silent(_, _) := answer if {
	some answer in []
}

test_a_policy_without_an_answer_makes_no_outcome if {
	outcomes := {outcome |
		outcome := verify.attestations({"image": _image}, _scanned, {0: _judged("good")}) with cosign.attestations as mock_two
			with sigstore.is_compliant as mock_silent
	}
	outcomes == set()
}

test_what_could_not_be_read_fails_with_the_cause if {
	got := verify.unresolved("a", `secret "x" not found`)
	_told(got) == _failed("a", "unresolved", `authority a: secret "x" not found (unresolved)`)
}

_disallowed(message) := object.union(_failed("a", "static_policy", message), {"facts": {"static": true}})

_static := {
	"pass": {
		"static": {"action": "pass"},
		"want": _passed("a", [], {"static": true}),
	},
	"fail": {
		"static": {"action": "fail", "message": "not here"},
		"want": _disallowed("disallowed by static policy: not here"),
	},
	"fail without a message": {
		"static": {"action": "fail"},
		"want": _disallowed("disallowed by static policy: "),
	},
	"an action that nobody knows fails": {
		"static": {"action": "Pass"},
		"want": _disallowed("disallowed by static policy: "),
	},
	"no action fails": {
		"static": {},
		"want": _disallowed("disallowed by static policy: "),
	},
}

test_static[note] if {
	some note, case in _static
	verify.static({"name": "a", "static": case.static}) == case.want
}
