package assay.admission_test

import data.assay.admission
import data.assay.given_test as given

# Decides a review by compiled policies and the installation's config.
_decision(review, policies, config) := decision if {
	decision := admission.decision with input as review
		with data.cip as policies
		with data.cip_index.candidates as object.keys(policies)
		with data.assay.config as config
		with oci.parse as given.parse
		with oci.resolve as given.resolve
}

_strict := {"no_match": "deny", "tags": "deny"}

_policy(mode, authorities) := {
	"matched": true,
	"mode": mode,
	"authorities": authorities,
	"policy": {"outcome": "passed"},
}

_passed(name) := {
	"name": name,
	"outcome": "passed",
	"signers": [{"id": "1", "subject": "me@example.com", "issuer": "https://issuer", "format": "legacy"}],
}

_failed(name, message) := {
	"name": name,
	"outcome": "failed",
	"signers": [],
	"error": {"code": "no_signatures", "message": message},
}

# What stands in the report of a policy.
_outcome(name, mode, outcome, authorities) := {
	"name": name,
	"mode": mode,
	"outcome": outcome,
	"authorities": authorities,
}

# The report of the only image of a Pod.
_images(image, policies) := [{
	"path": "spec.containers[0].image",
	"image": image,
	"digest": split(image, "@")[1],
	"policies": policies,
}]

_denied(images, reasons, warnings) := {
	"allowed": false,
	"images": images,
	"reasons": reasons,
	"warnings": warnings,
	"patch": [],
}

_admitted(images, warnings) := {
	"allowed": true,
	"images": images,
	"reasons": [],
	"warnings": warnings,
	"patch": [],
}

_app := given.image("app")

# One Pod with one image, under policies that all match it.
_joined := {
	"one authority that passes admits": {
		"policies": {"p": _policy("enforce", [_passed("a")])},
		"want": _admitted(_images(_app, [_outcome("p", "enforce", "passed", [_passed("a")])]), []),
	},
	"of two authorities one suffices, and the other's cause is not told": {
		"policies": {"p": _policy("enforce", [_failed("a", "no"), _passed("b")])},
		"want": _admitted(_images(_app, [_outcome("p", "enforce", "passed", [_failed("a", "no"), _passed("b")])]), []),
	},
	"the causes of all authorities are told in their order": {
		"policies": {"p": _policy("enforce", [_failed("b", "first"), _failed("a", "second")])},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [_failed("b", "first"), _failed("a", "second")])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s first second", [_app])],
			[],
		),
	},
	"authorities come in the order of their indexes, past ten too": {
		"policies": {"p": _policy("enforce", {i: _failed("a", format_int(i, 10)) | some i in numbers.range(0, 11)})},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [
			_failed("a", format_int(i, 10)) |
				some i in numbers.range(0, 11)
			])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s 0 1 2 3 4 5 6 7 8 9 10 11", [_app])],
			[],
		),
	},
	"every policy has to be satisfied": {
		"policies": {"p": _policy("enforce", [_passed("a")]), "q": _policy("enforce", [_failed("a", "no")])},
		"want": _denied(
			_images(_app, [
				_outcome("p", "enforce", "passed", [_passed("a")]),
				_outcome("q", "enforce", "failed", [_failed("a", "no")]),
			]),
			[sprintf("failed policy: q: spec.containers[0].image\n%s no", [_app])],
			[],
		),
	},
	"every policy that fails is told": {
		"policies": {"q": _policy("enforce", [_failed("a", "x")]), "p": _policy("enforce", [_failed("a", "y")])},
		"want": _denied(
			_images(_app, [
				_outcome("p", "enforce", "failed", [_failed("a", "y")]),
				_outcome("q", "enforce", "failed", [_failed("a", "x")]),
			]),
			[
				sprintf("failed policy: p: spec.containers[0].image\n%s y", [_app]),
				sprintf("failed policy: q: spec.containers[0].image\n%s x", [_app]),
			],
			[],
		),
	},
	"a policy that warns admits": {
		"policies": {"p": _policy("warn", [_failed("a", "no")])},
		"want": _admitted(
			_images(_app, [_outcome("p", "warn", "failed", [_failed("a", "no")])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s no", [_app])],
		),
	},
	"a policy that warns does not warn when it passes": {
		"policies": {"p": _policy("warn", [_passed("a")])},
		"want": _admitted(_images(_app, [_outcome("p", "warn", "passed", [_passed("a")])]), []),
	},
	"one denies and one warns: neither becomes the other": {
		"policies": {"p": _policy("warn", [_failed("a", "soft")]), "q": _policy("enforce", [_failed("a", "hard")])},
		"want": _denied(
			_images(_app, [
				_outcome("p", "warn", "failed", [_failed("a", "soft")]),
				_outcome("q", "enforce", "failed", [_failed("a", "hard")]),
			]),
			[sprintf("failed policy: q: spec.containers[0].image\n%s hard", [_app])],
			[sprintf("failed policy: p: spec.containers[0].image\n%s soft", [_app])],
		),
	},
	"a mode that nobody knows enforces": {
		"policies": {"p": _policy("Warn", [_failed("a", "no")])},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [_failed("a", "no")])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s no", [_app])],
			[],
		),
	},
	"a policy without authorities admits nothing": {
		"policies": {"p": _policy("enforce", [])},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s", [_app])],
			[],
		),
	},
	"a policy whose authorities are undefined admits nothing": {
		"policies": {"p": {"matched": true, "mode": "enforce"}},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s", [_app])],
			[],
		),
	},
	"a candidate that says nothing at all fails": {
		"policies": {"p": {}},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s", [_app])],
			[],
		),
	},
	"an authority without an outcome did not pass": {
		"policies": {"p": _policy("enforce", [{"name": "a"}])},
		"want": _denied(
			_images(_app, [_outcome("p", "enforce", "failed", [{"name": "a"}])]),
			[sprintf("failed policy: p: spec.containers[0].image\n%s", [_app])],
			[],
		),
	},
	"a candidate that does not match has no part in it": {
		"policies": {
			"p": _policy("enforce", [_passed("a")]),
			"q": {"matched": false, "mode": "enforce", "authorities": [_failed("a", "no")]},
		},
		"want": _admitted(_images(_app, [_outcome("p", "enforce", "passed", [_passed("a")])]), []),
	},
}

_judging(authorities, outcome) := object.union(_policy("enforce", authorities), {"includes": set(), "policy": outcome})

_yes := {"outcome": "passed", "warnings": []}

_no := {"outcome": "failed", "warnings": [], "error": {"code": "not_compliant", "message": "inside says no"}}

# One image under one policy with a policy of its own inside.
_inside := {
	"the policy inside is satisfied too": {
		"policy": _judging([_passed("a")], _yes),
		"allowed": true,
		"reasons": [],
		"warnings": [],
	},
	"the policy inside says no, whoever passed": {
		"policy": _judging([_failed("a", "no"), _passed("b")], _no),
		"allowed": false,
		"reasons": [sprintf("failed policy: p: spec.containers[0].image\n%s no inside says no", [_app])],
		"warnings": [],
	},
	"IN-9: the policy inside is not asked before an authority passed": {
		"policy": _judging([_failed("a", "no")], _no),
		"allowed": false,
		"reasons": [sprintf("failed policy: p: spec.containers[0].image\n%s no", [_app])],
		"warnings": [],
	},
	"a policy inside that says nothing is no yes": {
		"policy": object.remove(_judging([_passed("a")], _yes), ["policy"]),
		"allowed": false,
		"reasons": [sprintf("failed policy: p: spec.containers[0].image\n%s", [_app])],
		"warnings": [],
	},
	"warnings of what passed are told": {
		"policy": _judging(
			[object.union(_passed("a"), {"warnings": ["old key"]})],
			{"outcome": "passed", "warnings": ["old base"]},
		),
		"allowed": true,
		"reasons": [],
		"warnings": [
			sprintf("policy p: old base: spec.containers[0].image\n%s", [_app]),
			sprintf("policy p: old key: spec.containers[0].image\n%s", [_app]),
		],
	},
}

test_the_policy_inside_has_to_be_satisfied_as_well[note] if {
	some note, case in _inside
	got := _decision(given.running([_app]), {"p": case.policy}, _strict)
	[got.allowed, got.reasons, got.warnings] == [case.allowed, case.reasons, case.warnings]
}

mock_index(_) := {"ok": true, "value": {"manifests": []}, "error": null}

mock_image(_) := {"ok": true, "value": {"layers": []}, "error": null}

mock_no_manifest(_) := {"ok": false, "value": null, "error": {"code": "not_found", "message": "gone"}}

_verifying := {"p": object.union(_policy("enforce", [_passed("a")]), {"verifies": true})}

# IDX-1: the verdict says what was verified, where that is known.
test_the_verdict_says_what_the_digest_names if {
	index := _decision(given.running([_app]), _verifying, _strict) with oci.manifest as mock_index
	index.images[0].manifest == "index"
	image := _decision(given.running([_app]), _verifying, _strict) with oci.manifest as mock_image
	image.images[0].manifest == "image"
	unknown := _decision(given.running([_app]), _verifying, _strict) with oci.manifest as mock_no_manifest
	[unknown.allowed, object.get(unknown.images[0], "manifest", "none")] == [true, "none"]
}

# A registry is not asked on behalf of policies that ask it nothing.
test_static_policies_ask_no_registry if {
	policies := {"p": _policy("enforce", [_passed("a")])}
	got := _decision(given.running([_app]), policies, _strict) with oci.manifest as mock_index
	object.get(got.images[0], "manifest", "none") == "none"
}

test_what_the_policy_inside_said_is_reported if {
	got := _decision(given.running([_app]), {"p": _judging([_passed("a")], _no)}, _strict)
	got.images[0].policies[0].policy == _no
}

test_policies_and_authorities_are_joined[note] if {
	some note, case in _joined
	_decision(given.running([_app]), case.policies, _strict) == case.want
}

_uncovered := sprintf("no matching policies: spec.containers[0].image\n%s", [_app])

# What becomes of an image that no policy matches.
_no_match := {
	"deny": {"config": {"no_match": "deny"}, "want": _denied(_images(_app, []), [_uncovered], [])},
	"warn": {"config": {"no_match": "warn"}, "want": _admitted(_images(_app, []), [_uncovered])},
	"allow": {"config": {"no_match": "allow"}, "want": _admitted(_images(_app, []), [])},
	"garbage": {"config": {"no_match": "Allow"}, "want": _denied(_images(_app, []), [_uncovered], [])},
	"null": {"config": {"no_match": null}, "want": _denied(_images(_app, []), [_uncovered], [])},
	"not set": {"config": {}, "want": _denied(_images(_app, []), [_uncovered], [])},
}

test_no_match_without_policies[note] if {
	some note, case in _no_match
	_decision(given.running([_app]), {}, case.config) == case.want
}

test_no_match_beside_policies_of_others[note] if {
	some note, case in _no_match
	policies := {"p": {"matched": false, "mode": "enforce", "authorities": [_passed("a")]}}
	_decision(given.running([_app]), policies, case.config) == case.want
}

# The index is asked first: what it does not name is not asked at all.
test_only_candidates_are_asked if {
	decision := admission.decision with input as given.running([_app])
		with data.cip as {"p": _policy("enforce", [_passed("a")])}
		with data.cip_index.candidates as set()
		with data.assay.config as _strict
		with oci.parse as given.parse
	decision == _denied(_images(_app, []), [_uncovered], [])
}

test_without_an_index_nothing_is_admitted[no_match] if {
	some no_match in ["deny", "warn", "allow"]
	allowed := admission.allowed with input as given.running([_app])
		with data.cip as {"p": _policy("enforce", [_passed("a")])}
		with data.assay.config as {"no_match": no_match}
		with oci.parse as given.parse
	not allowed
}

test_without_a_config_nothing_unmatched_is_admitted if {
	decision := admission.decision with input as given.running([_app])
		with data.cip_index.candidates as set()
		with oci.parse as given.parse
	decision == _denied(_images(_app, []), [_uncovered], [])
}

# The port that https has anyway makes no other registry.
test_both_forms_of_a_registry_are_asked[name] if {
	some name, alias in {
		"ghcr.io/app@sha256:aa": "ghcr.io:443/app@sha256:aa",
		"ghcr.io:443/app@sha256:aa": "ghcr.io/app@sha256:aa",
		"ghcr.io:5000/app@sha256:aa": "ghcr.io:5000/app@sha256:aa",
	}
	admission.other_name(name) == alias
}
