package assay.lib.attested_test

import data.assay.lib.attested
import data.assay.lib.given_test as given

test_missing[note] if {
	some note, case in {
		"nothing": {"answer": null, "want": {"no attestation: got no answer of cosign.attestations"}},
		"another thing": {"answer": {"attestations": [1]}, "want": {"no attestation: got no answer of cosign.attestations"}},
		"refused": {"answer": given.refused, "want": {"no attestation: nothing there (not_found)"}},
		"refused without a reason": {
			"answer": {"ok": false},
			"want": {"no attestation: got an answer that cannot be judged"},
		},
		"empty": {"answer": given.attested([]), "want": {"no attestation: got an empty list"}},
		"one": {"answer": given.attested([{}]), "want": set()},
	}
	attested.missing(case.answer) == case.want
}

test_refused[note] if {
	some note, case in {
		"nothing": {"answer": null, "want": "bill: got an answer that cannot be judged"},
		"without an error": {"answer": {"ok": false}, "want": "bill: got an answer that cannot be judged"},
		"without a code": {
			"answer": {"error": {"message": "nothing there"}},
			"want": "bill: got an answer that cannot be judged",
		},
		"refused": {"answer": given.refused, "want": "bill: nothing there (not_found)"},
	}
	attested.refused("bill", case.answer) == case.want
}

# What has no statement is there all the same: it must not be passed over.
test_statements[note] if {
	some note, case in {
		"nothing": {"answer": null, "want": []},
		"two": {"answer": given.attested([{"a": 1}, 2]), "want": [{"a": 1}, 2]},
		"one without a statement": {"answer": {"attestations": [{}]}, "want": [null]},
	}
	attested.statements(case.answer) == case.want
}

test_demands[note] if {
	some note, case in {
		"none": {"wanted": null, "want": {"demands: got none, want an object"}},
		"a list": {"wanted": ["a"], "want": {"demands: got none, want an object"}},
		"right": {"wanted": {"a": ["x"], "b": 0}, "want": set()},
		"without what may be": {"wanted": {"a": {"x"}}, "want": set()},
		"misspelt": {"wanted": {"a": ["x"], "bb": 2}, "want": {"demands: got the key bb, want one of a, b"}},
		"lacking": {"wanted": {"b": 2}, "want": {"demands: got no a, want it"}},
		"null for what may be": {
			"wanted": {"a": ["x"], "b": null},
			"want": {"demands: got a value of b that is no number"},
		},
		"null": {"wanted": {"a": null}, "want": {"demands: got no a, want it"}},
		"an empty list": {"wanted": {"a": []}, "want": {"demands: got no a, want it"}},
		"an empty set": {"wanted": {"a": set()}, "want": {"demands: got no a, want it"}},
		"an empty text": {
			"wanted": {"a": ""},
			"want": {"demands: got no a, want it", "demands: got a value of a that is no texts"},
		},
	}
	attested.demands(case.wanted, {"a": "texts"}, {"b": "number"}) == case.want
}

test_demands_of_another_kind[note] if {
	kinds := {"texts": "texts", "text": "text", "number": "number", "boolean": "boolean"}
	some note, case in {
		"right": {"wanted": {"texts": ["a"], "text": "a", "number": 1, "boolean": false}, "want": set()},
		"a set": {"wanted": {"texts": {"a"}}, "want": set()},
		"a text for texts": {"wanted": {"texts": "a"}, "want": {"texts"}},
		"a number among texts": {"wanted": {"texts": ["a", 1]}, "want": {"texts"}},
		"a text for a number": {"wanted": {"number": "1"}, "want": {"number"}},
		"a number for a text": {"wanted": {"text": 1}, "want": {"text"}},
		"a text for a boolean": {"wanted": {"boolean": "no"}, "want": {"boolean"}},
	}
	want := {sprintf("demands: got a value of %s that is no %s", [key, key]) | some key in case.want}
	attested.demands(case.wanted, {}, kinds) == want
}
