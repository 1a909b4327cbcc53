package assay.explain_test

import data.assay.explain
import data.assay.given_test as given

_tree(review, policies, config) := tree if {
	answer := explain.answer with input as review
		with data.cip as policies
		with data.cip_index.candidates as object.keys(policies)
		with data.assay.config as config
		with data.assay.sources as {}
		with oci.parse as given.parse
		with oci.resolve as given.resolve
	tree := answer.explanation

	# Whatever the tree says, it is of the decision that stands beside it.
	tree.outcome != "failed" == answer.decision.allowed
}

_app := given.image("app")

_deny := {"no_match": "deny", "tags": "deny"}

_policy(mode, authorities) := {
	"matched": true,
	"mode": mode,
	"authorities": authorities,
	"policy": {"outcome": "passed"},
}

_passed(name) := {"name": name, "outcome": "passed", "signers": []}

_failed(name) := {
	"name": name,
	"outcome": "failed",
	"signers": [],
	"facts": {},
	"error": {"code": "unresolved", "message": "no"},
}

_image(code, outcome, because) := {
	"what": "image",
	"name": _app,
	"path": "spec.containers[0].image",
	"code": code,
	"outcome": outcome,
	"because": because,
}

_reported(name, mode, code, outcome, because) := {
	"what": "policy",
	"name": name,
	"mode": mode,
	"code": code,
	"outcome": outcome,
	"because": because,
}

_authority(name) := {
	"what": "authority",
	"name": name,
	"code": "unresolved",
	"outcome": "failed",
	"text": "no",
	"source": {},
}

_caution := {"what": "warning", "name": "", "code": "warned", "outcome": "warned", "text": "old"}

_no := {"outcome": "failed", "error": {"code": "not_compliant", "message": "not me"}}

_images := {
	"what is admitted without a word is one line": {
		"policies": {"p": _policy("enforce", [_passed("a")])},
		"want": [object.remove(_image("passed", "passed", []), ["because"])],
	},
	"a policy that fails says why, one that passes is one line": {
		"policies": {"p": _policy("enforce", [_passed("a")]), "q": _policy("enforce", [_failed("a"), _failed("b")])},
		"want": [_image("policy_failed", "failed", [
			_reported("p", "enforce", "passed", "passed", []),
			_reported("q", "enforce", "authority_failed", "failed", [_authority("a"), _authority("b")]),
		])],
	},
	"a policy that warns denies nothing": {
		"policies": {"p": _policy("warn", [_failed("a")])},
		"want": [_image("warned", "warned", [_reported("p", "warn", "authority_failed", "warned", [_authority("a")])])],
	},
	"a policy that passes may warn": {
		"policies": {"p": _policy("enforce", [object.union(_passed("a"), {"warnings": ["old"]})])},
		"want": [_image("warned", "warned", [_reported("p", "enforce", "warned", "warned", [_caution])])],
	},
	"a policy inside may warn": {
		"policies": {"p": object.union(
			_policy("enforce", [_passed("a")]),
			{"policy": {"outcome": "passed", "warnings": ["old"]}},
		)},
		"want": [_image("warned", "warned", [_reported("p", "enforce", "warned", "warned", [_caution])])],
	},
	"a policy inside may say no": {
		"policies": {"p": object.union(_policy("enforce", [_passed("a")]), {"policy": _no})},
		"want": [_image("policy_failed", "failed", [_reported("p", "enforce", "inside_failed", "failed", [
			{"what": "authority", "name": "a", "code": "passed", "outcome": "passed", "source": {}},
			{
				"what": "inside", "name": "spec.policy", "code": "not_compliant", "outcome": "failed", "text": "not me",
				"because": [], "source": {"field": "spec.policy"},
			},
		])])],
	},
	"a policy whose authorities have no answer is undecided": {
		"policies": {"p": _policy("enforce", [])},
		"want": [_image("policy_failed", "failed", [_reported("p", "enforce", "undecided", "failed", [])])],
	},
	"a policy inside without an answer is undecided": {
		"policies": {"p": object.remove(_policy("enforce", [_passed("a")]), ["policy"])},
		"want": [_image("policy_failed", "failed", [_reported("p", "enforce", "undecided", "failed", [
			{"what": "authority", "name": "a", "code": "passed", "outcome": "passed", "source": {}},
		])])],
	},
	"no policy": {"policies": {}, "want": [_image("no_policy", "failed", [])]},
}

test_images[note] if {
	some note, case in _images
	tree := _tree(given.running([_app]), case.policies, _deny)
	tree.because == case.want
}

_uncovered := {
	"deny": "failed",
	"Warn": "failed",
	"warn": "warned",
	"allow": "passed",
}

test_no_policy_has_the_outcome_that_the_installation_wants[note] if {
	some note, outcome in _uncovered
	tree := _tree(given.running([_app]), {}, object.union(_deny, {"no_match": note}))
	tree.because == [_image("no_policy", outcome, [])]
}

_roots := {
	"admitted": {
		"review": given.running([_app]),
		"want": {"code": "admitted", "outcome": "passed"},
	},
	"denied": {
		"review": given.running(["in@valid"]),
		"want": {"code": "denied", "outcome": "failed"},
	},
	"exempt": {
		"review": given.review("DELETE", "/v1/Pod", {}),
		"want": {"code": "exempt", "outcome": "passed"},
	},
}

test_the_root_says_what_became_of_the_review[note] if {
	some note, case in _roots
	tree := _tree(case.review, {"p": _policy("enforce", [_passed("a")])}, _deny)
	object.filter(tree, ["code", "outcome"]) == case.want
}

test_what_is_not_understood_is_told if {
	tree := _tree(given.review("CREATE", "/v1/Pod", {}), {}, _deny)
	tree.because == [{
		"what": "object",
		"name": "spec",
		"code": "malformed",
		"outcome": "failed",
		"text": "missing field(s)",
	}]
}

_unjudged := {
	"no reference": {
		"image": "in@valid",
		"tags": "resolve",
		"text": "could not parse reference: in@valid",
		"because": [{"code": "malformed", "text": "no reference"}],
	},
	"a tag that is not there": {
		"image": "reg.io/app:v2",
		"tags": "resolve",
		"text": "invalid value: reg.io/app:v2 must be an image digest",
		"because": [{"code": "not_found", "text": "no such tag"}],
	},
	"a tag that is not asked for": {
		"image": "reg.io/app:v2",
		"tags": "deny",
		"text": "invalid value: reg.io/app:v2 must be an image digest",
		"because": [],
	},
}

test_images_without_a_digest_say_why[note] if {
	some note, case in _unjudged
	tree := _tree(given.running([case.image]), {}, {"no_match": "deny", "tags": case.tags})
	tree.because == [{
		"what": "image",
		"name": case.image,
		"path": "spec.containers[0].image",
		"code": "no_digest",
		"outcome": "failed",
		"text": case.text,
		"because": [object.union({"what": "tag", "name": case.image, "outcome": "failed"}, cause) |
			some cause in case.because
		],
	}]
}

test_the_worst_policy_is_the_outcome_of_an_image if {
	tree := _tree(
		given.running([_app]),
		{
			"p": _policy("warn", [_failed("a")]),
			"q": _policy("enforce", [_failed("a")]),
			"r": _policy("enforce", [_passed("a")]),
		},
		_deny,
	)
	[image.outcome | some image in tree.because] == ["failed"]
	[policy.outcome | some policy in tree.because[0].because] == ["warned", "failed", "passed"]
}

test_what_passes_beside_what_is_denied_is_one_line if {
	tree := _tree(given.running([_app, "in@valid"]), {"p": _policy("enforce", [_passed("a")])}, _deny)
	tree.because[0] == _image("passed", "passed", [_reported("p", "enforce", "passed", "passed", [])])
	tree.because[1].outcome == "failed"
}

_raw := {
	"denies": {"ok": true, "deny": ["not here", {"msg": "nor there"}], "warn": [], "mode": null, "error": null},
	"fails": {"ok": false, "deny": [], "warn": [], "mode": null, "error": {"code": "timeout", "message": "too long"}},
	"passes": {"ok": true, "deny": [], "warn": [], "mode": null, "error": null},
	"softens": {"ok": true, "deny": ["never"], "warn": [], "mode": "warn", "error": null, "at": ["deny:7:a:b.rego"]},
	"warns": {"ok": true, "deny": [], "warn": ["old"], "mode": null, "error": null},
}

mock_policy(name, _) := _raw[name]

_rego_tree(names, review) := tree if {
	tree := _tree(review, {"p": _policy("enforce", [_passed("a")])}, _deny) with assay.policy as mock_policy
		with data.assay.raw_policies as {name: {} | some name in names}
}

test_policies_in_plain_rego_say_what_they_deny if {
	tree := _rego_tree({"denies", "fails", "passes", "softens", "warns"}, given.running([_app]))
	denial := {"what": "denial", "name": "", "code": "rego_denied", "outcome": "failed"}
	array.slice(tree.because, 1, 6) == [
		{"what": "rego", "name": "denies", "mode": "enforce", "code": "rego_denied", "outcome": "failed", "because": [
			object.union(denial, {"text": "not here"}),
			object.union(denial, {"text": "nor there"}),
		]},
		{"what": "rego", "name": "fails", "mode": "enforce", "code": "rego_denied", "outcome": "failed", "because": [
			{"what": "error", "name": "", "code": "timeout", "outcome": "failed", "text": "too long (timeout)"},
		]},
		{"what": "rego", "name": "passes", "mode": "enforce", "code": "passed", "outcome": "passed", "because": []},
		{"what": "rego", "name": "softens", "mode": "warn", "code": "rego_denied", "outcome": "warned", "because": [
			object.union(denial, {"text": "never"}),
			{
				"what": "rule", "name": "deny", "code": "rego_denied", "outcome": "failed", "text": "denied",
				"source": {"line": 7, "path": "a:b.rego"},
			},
		]},
		{"what": "rego", "name": "warns", "mode": "enforce", "code": "warned", "outcome": "warned", "because": [_caution]},
	]
}

# No image is judged, and all the same it is denied.
test_an_exempt_review_may_be_denied_by_plain_rego if {
	tree := _rego_tree({"denies"}, given.review("DELETE", "/v1/Pod", {}))
	[tree.code, tree.outcome] == ["denied", "failed"]
	[node.name | some node in tree.because] == ["denies"]
}
