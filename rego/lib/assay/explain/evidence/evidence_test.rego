package assay.explain.evidence_test

import data.assay.explain.evidence

_sources := {"p": {"path": "cip/p.rego", "policy": 30, "authorities": [
	{"name": "a", "field": "spec.authorities[0]", "line": 10},
	{"name": "b", "field": "spec.authorities[1]", "line": 20},
	{"name": "a", "field": "spec.authorities[2]", "line": 25},
]}}

_authorities(outcomes) := nodes if {
	nodes := evidence.authorities("p", outcomes) with data.assay.sources as _sources
}

_failed(name, code, message, facts) := {
	"name": name,
	"outcome": "failed",
	"error": {"code": code, "message": message},
	"facts": facts,
}

_looked := [{"format": "legacy", "at": ["reg.io/app:sha256-a.sig"], "found": 1}]

_miss(code) := {
	"digest": "sha256:1",
	"format": "legacy",
	"at": "reg.io/app:sha256-a.sig",
	"code": code,
	"message": "none of the expected identities matched",
	"differs": [{"what": "subject", "got": "you", "want": "me"}],
}

_missed(what, code) := {
	"what": what,
	"name": "sha256:1",
	"code": code,
	"outcome": "failed",
	"text": "legacy, reg.io/app:sha256-a.sig",
	"hint": "none of the expected identities matched",
	"differs": [{"what": "subject", "got": "you", "want": "me"}],
}

_at(line, field) := {"path": "cip/p.rego", "line": line, "field": field}

_told := {
	"one that passed is one line": {
		"outcome": {"name": "a", "outcome": "passed", "facts": {"signatures": []}},
		"want": {"code": "passed", "outcome": "passed"},
	},
	"nothing was there": {
		"outcome": _failed("a", "no_signatures", "…", {"error": {
			"code": "no_signatures",
			"message": "no signatures found; looked at x; the referrers have 1 bundle, which …",
			"looked": _looked,
			"misses": [],
			"hint": "the referrers have 1 bundle, which …",
		}}),
		"want": {
			"code": "no_signatures",
			"outcome": "failed",
			"text": "no signatures found",
			"looked": _looked,
			"hint": "the referrers have 1 bundle, which …",
			"because": [],
		},
	},
	"what was there missed": {
		"outcome": _failed("a", "identity_mismatch", "…", {"error": {
			"code": "identity_mismatch",
			"message": "no matching signatures: none of the expected\n none: of",
			"looked": _looked,
			"misses": [_miss("identity_mismatch"), _miss("tlog")],
		}}),
		"want": {
			"code": "identity_mismatch",
			"outcome": "failed",
			"text": "no matching signatures",
			"looked": _looked,
			"because": [_missed("signature", "identity_mismatch"), _missed("signature", "tlog")],
		},
	},
	"static": {
		"outcome": _failed("a", "static_policy", "disallowed", {"static": true}),
		"want": {"code": "static_policy", "outcome": "failed", "text": "disallowed"},
	},
}

test_authorities[note] if {
	some note, case in _told
	_authorities([case.outcome]) == [object.union(case.want, {
		"what": "authority",
		"name": "a",
		"source": _at(10, "spec.authorities[0]"),
	})]
}

# Of two of a name the index counts, where it can.
test_authorities_stand_where_their_name_does if {
	nodes := _authorities([_failed("b", "x", "", {}), _failed("c", "x", "", {}), _failed("a", "x", "", {})])
	[node.source | some node in nodes] == [_at(20, "spec.authorities[1]"), {}, _at(25, "spec.authorities[2]")]
}

_entry(name) := {"name": name, "predicateType": "vuln"}

_entries := [
	object.union(_entry("passes"), {"found": [], "warnings": []}),
	object.union(_entry("misses"), {
		"error": {
			"code": "not_found",
			"message": "no matching attestations with type vuln, checked the following predicateTypes: \"x\"",
			"looked": _looked,
			"misses": [_miss("not_found")],
		},
		"judged": [],
	}),
	object.union(_entry("refuses"), {
		"error": {"code": "not_compliant", "message": "no"},
		"judged": [
			{
				"fact": {"id": "1", "digest": "sha256:2"},
				"verdict": {"outcome": "failed", "error": {"code": "not_compliant", "message": "no"}},
			},
			{"fact": {"id": "3"}, "verdict": {"outcome": "passed"}},
		],
	}),
]

test_attestations_say_what_became_of_each_entry if {
	[authority] := _authorities([_failed("a", "not_found", "…", {"entries": _entries})])
	authority.because == [
		{"what": "attestation", "name": "passes", "code": "passed", "outcome": "passed"},
		{
			"what": "attestation", "name": "misses", "code": "not_found", "outcome": "failed",
			"text": "no matching attestations with type vuln",
			"looked": _looked,
			"because": [_missed("attestation", "not_found")],
		},
		{
			"what": "attestation", "name": "refuses", "code": "not_compliant", "outcome": "failed",
			"text": "2 verified of type vuln, none complies",
			"because": [
				{
					"what": "statement", "name": "sha256:2", "code": "not_compliant", "outcome": "failed",
					"text": "no", "because": [],
				},
				{"what": "statement", "name": "3", "code": "passed", "outcome": "passed"},
			],
		},
	]
}

_inside(outcome) := node if {
	node := evidence.inside("p", outcome) with data.assay.sources as _sources
}

_rule(name, text) := {
	"what": "rule",
	"name": name,
	"code": "not_compliant",
	"outcome": "failed",
	"text": text,
}

_refusals := {
	"CUE says at which path": {
		"outcome": {"error": {
			"code": "not_compliant",
			"message": concat("", [
				"failed evaluating cue policy for ClusterImagePolicy: failed to evaluate the policy with error: ",
				"a.b: conflicting values 1: and 2 (not_compliant)",
			]),
		}},
		"text": "a.b: conflicting values 1: and 2",
		"because": [_rule("a.b", "conflicting values 1: and 2")],
	},
	"CUE may say no path": {
		"outcome": {"error": {
			"code": "not_compliant",
			"message": concat("", [
				"failed evaluating cue policy for ClusterImagePolicy: failed to evaluate the policy with error: ",
				"explicit error: no (not_compliant)",
			]),
		}},
		"text": "explicit error: no",
		"because": [],
	},
	"Rego says on which lines": {
		"outcome": {
			"error": {
				"code": "not_compliant",
				"message": concat("", [
					"failed evaluating rego policy for type ClusterImagePolicy: policy is not compliant ",
					"for query 'x' with errors: not you (not_compliant)",
				]),
			},
			"at": ["isCompliant:3: not true: input.a[\"b:c\"] == 1", "built:7: not true: x"],
		},
		"text": "not you",
		"because": [
			object.union(_rule("isCompliant", "not true: input.a[\"b:c\"] == 1"), {"source": {"line": 3}}),
			object.union(_rule("built", "not true: x"), {"source": {"line": 7}}),
		],
	},
	"what went wrong is told as it is": {
		"outcome": {"error": {"code": "timeout", "message": "too long (timeout)"}},
		"text": "too long (timeout)",
		"because": [],
	},
}

test_policies_inside_say_where_they_said_no[note] if {
	some note, case in _refusals
	_inside(object.union(case.outcome, {"outcome": "failed"})) == {
		"what": "inside",
		"name": "spec.policy",
		"code": case.outcome.error.code,
		"outcome": "failed",
		"text": case.text,
		"because": case.because,
		"source": _at(30, "spec.policy"),
	}
}
