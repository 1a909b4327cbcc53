package assay.admission_test

import data.assay.admission
import data.assay.given_test as given

# Whole decisions about Pods whose images are good, bad, and no names at all.
# There is one policy, and every image satisfies it.
_lenient := {"p": _policy("enforce", [_passed("a")])}

_report(path, image, digest, policies) := {
	"path": path,
	"image": image,
	"digest": digest,
	"policies": policies,
}

_p_passed := [_outcome("p", "enforce", "passed", [_passed("a")])]

_sha := split(given.image("app"), "@")[1]

test_tag_is_denied if {
	got := _decision(given.running(["reg.io/app:v1"]), _lenient, _strict)
	got == _denied(
		[_report("spec.containers[0].image", "reg.io/app:v1", "", [])],
		["invalid value: reg.io/app:v1 must be an image digest: spec.containers[0].image"],
		[],
	)
}

test_tag_is_denied_whatever_else_is_set[note] if {
	some note, config in {
		"nothing": {},
		"garbage": {"tags": "Resolve", "no_match": "allow"},
		"deny, and no match allowed": {"tags": "deny", "no_match": "allow"},
	}
	got := _decision(given.running(["reg.io/app:v1"]), {}, config)
	got == _denied(
		[_report("spec.containers[0].image", "reg.io/app:v1", "", [])],
		["invalid value: reg.io/app:v1 must be an image digest: spec.containers[0].image"],
		[],
	)
}

test_tag_is_resolved_judged_and_pinned if {
	policies := {"p": _policy("warn", [_failed("a", "no")])}
	got := _decision(given.running(["reg.io/app:v1"]), policies, {"tags": "resolve"})
	pinned := concat("@", ["reg.io/app:v1", _sha])
	got == {
		"allowed": true,
		"images": [_report("spec.containers[0].image", "reg.io/app:v1", _sha, [_outcome(
			"p",
			"warn",
			"failed",
			[_failed("a", "no")],
		)])],
		"reasons": [],
		"warnings": [sprintf("failed policy: p: spec.containers[0].image\n%s no", [pinned])],
		"patch": [{"op": "replace", "path": "/spec/containers/0/image", "value": pinned}],
	}
}

_templated(images) := given.review("CREATE", "apps/v1/Deployment", {"spec": {"template": {"spec": spec}}}) if {
	spec := {"containers": [{"image": image} | some image in images]}
}

# A Pod runs what stands in it, whatever policies say of what the tag names now.
test_tag_of_a_pod_is_denied_where_pods_are_pinned[note] if {
	some note, case in {
		"policies are satisfied": {"policies": _lenient, "no_match": "deny"},
		"policies only warn": {"policies": {"p": _policy("warn", [_failed("a", "no")])}, "no_match": "deny"},
		"no policy, and none is needed": {"policies": {}, "no_match": "allow"},
		"no policy, and a warning would do": {"policies": {}, "no_match": "warn"},
	}
	got := _decision(given.running(["reg.io/app:v1"]), case.policies, {"tags": "pods", "no_match": case.no_match})
	got == _denied(
		[_report("spec.containers[0].image", "reg.io/app:v1", "", [])],
		["invalid value: reg.io/app:v1 must be an image digest: spec.containers[0].image"],
		[],
	)
}

test_tag_of_an_ephemeral_container_is_denied_where_pods_are_pinned if {
	obj := {"spec": {"containers": [{"image": _app}], "ephemeralContainers": [{"image": "reg.io/app:v1"}]}}
	review := object.union(given.update("/v1/Pod", {}, obj), {"request": {"subResource": "ephemeralcontainers"}})
	got := _decision(review, _lenient, {"tags": "pods", "no_match": "allow"})
	[got.allowed, got.reasons] == [
		false,
		["invalid value: reg.io/app:v1 must be an image digest: spec.ephemeralContainers[0].image"],
	]
}

# Its Pods are pinned when they are made.
test_tag_of_a_template_is_judged_and_stays_where_pods_are_pinned if {
	got := _decision(_templated(["reg.io/app:v1"]), _lenient, {"tags": "pods", "no_match": "deny"})
	got == _admitted([_report("spec.template.spec.containers[0].image", "reg.io/app:v1", _sha, _p_passed)], [])
}

test_tag_of_a_template_that_fails_is_denied_by_its_digest if {
	policies := {"p": _policy("enforce", [_failed("a", "no")])}
	got := _decision(_templated(["reg.io/app:v1"]), policies, {"tags": "pods", "no_match": "allow"})
	pinned := concat("@", ["reg.io/app:v1", _sha])
	[got.allowed, got.reasons, got.patch] == [
		false,
		[sprintf("failed policy: p: spec.template.spec.containers[0].image\n%s no", [pinned])],
		[],
	]
}

test_tag_of_a_template_that_names_nothing_is_denied if {
	got := _decision(_templated(["reg.io/app:v2"]), _lenient, {"tags": "pods", "no_match": "allow"})
	message := "invalid value: reg.io/app:v2 must be an image digest: spec.template.spec.containers[0].image"
	[got.allowed, got.reasons] == [false, [sprintf("%s\nnot_found: no such tag", [message])]]
}

test_tag_of_a_template_is_denied_where_all_are_pinned if {
	got := _decision(_templated(["reg.io/app:v1"]), _lenient, {"tags": "pin", "no_match": "allow"})
	[got.allowed, got.reasons] == [
		false,
		["invalid value: reg.io/app:v1 must be an image digest: spec.template.spec.containers[0].image"],
	]
}

test_tag_that_cannot_be_resolved_is_denied_with_the_cause if {
	got := _decision(given.running(["reg.io/app:v2"]), _lenient, {"tags": "resolve", "no_match": "allow"})
	got == _denied(
		[_report("spec.containers[0].image", "reg.io/app:v2", "", [])],
		["invalid value: reg.io/app:v2 must be an image digest: spec.containers[0].image\nnot_found: no such tag"],
		[],
	)
}

test_digest_is_not_resolved if {
	got := _decision(given.running([_app]), _lenient, {"tags": "resolve"})
	got == _admitted([_report("spec.containers[0].image", _app, _sha, _p_passed)], [])
}

test_unparsable_reference_is_denied[image] if {
	some image in ["in@valid", ""]
	got := _decision(given.running([image]), _lenient, {"tags": "resolve", "no_match": "allow"})
	got == _denied(
		[_report("spec.containers[0].image", image, "", [])],
		[sprintf("could not parse reference: %s: spec.containers[0].image", [image])],
		[],
	)
}

test_image_that_is_no_text_is_denied if {
	got := _decision(given.running([null]), _lenient, {"tags": "resolve", "no_match": "allow"})
	got == _denied(
		[_report("spec.containers[0].image", "", "", [])],
		["could not parse reference: : spec.containers[0].image"],
		[],
	)
}

test_one_bad_image_denies_them_all if {
	got := _decision(given.running([_app, "in@valid"]), _lenient, _strict)
	got == _denied(
		[
			_report("spec.containers[0].image", _app, _sha, _p_passed),
			_report("spec.containers[1].image", "in@valid", "", []),
		],
		["could not parse reference: in@valid: spec.containers[1].image"],
		[],
	)
}

test_object_without_images_runs_nothing if {
	_decision(given.pod({"containers": []}), {}, _strict) == _admitted([], [])
}

test_unhandled_kind_is_denied if {
	got := _decision(given.review("CREATE", "/v1/Service", {"spec": {}}), _lenient, {"no_match": "allow"})
	got == _denied([], ["unhandled kind: /v1, Kind=Service"], [])
}

test_malformed_object_is_denied[note] if {
	some note, case in {
		"no spec": {"object": {}, "want": "missing field(s): spec"},
		"a list that is none": {
			"object": {"spec": {"containers": "app"}},
			"want": "invalid value: must be a list: spec.containers",
		},
		"a volume that is none": {
			"object": {"spec": {"containers": [{"image": _app}], "volumes": ["app"]}},
			"want": "invalid value: must be an object: spec.volumes[0]",
		},
	}
	got := _decision(given.review("CREATE", "/v1/Pod", case.object), _lenient, {"no_match": "allow"})
	[got.allowed, got.reasons] == [false, [case.want]]
}

test_review_that_is_none_is_denied[note] if {
	some note, review in {
		"empty": {},
		"no request": {"request": null},
		"a text": {"request": "CREATE"},
		"nothing in it": {"request": {"uid": "1"}},
	}
	got := _decision(review, _lenient, {"no_match": "allow", "tags": "resolve"})
	got == _denied([], ["unhandled kind: /, Kind="], [])
}

# The same image in three places, and another one: equal errors are one, with
# every path.
test_equal_errors_are_merged_and_sorted if {
	db := given.image("db")
	review := given.pod({
		"initContainers": [{"image": _app}],
		"containers": [{"image": db}, {"image": _app}, {"image": "reg.io/x:1"}],
		"ephemeralContainers": [{"image": "reg.io/x:1"}],
		"volumes": [{"image": {"reference": _app}}],
	})
	policies := {
		"hard": _policy("enforce", [_failed("a", "no")]),
		"soft": _policy("warn", [_failed("a", "maybe")]),
	}
	got := _decision(review, policies, _strict)
	app_paths := "spec.containers[1].image, spec.initContainers[0].image, spec.volumes[0].image"
	[got.allowed, got.reasons, got.warnings] == [
		false,
		[
			sprintf("failed policy: hard: %s\n%s no", [app_paths, _app]),
			sprintf("failed policy: hard: spec.containers[0].image\n%s no", [db]),
			concat(": ", [
				"invalid value: reg.io/x:1 must be an image digest",
				"spec.containers[2].image, spec.ephemeralContainers[0].image",
			]),
		],
		[
			sprintf("failed policy: soft: %s\n%s maybe", [app_paths, _app]),
			sprintf("failed policy: soft: spec.containers[0].image\n%s maybe", [db]),
		],
	]
}

test_policies_are_asked_once_for_each_distinct_image if {
	got := admission.matched with input as given.running([_app, given.image("db"), _app])
		with data.cip as _lenient
		with data.cip_index.candidates as {"p"}
		with oci.parse as given.parse
	got == {_app: {"p"}, given.image("db"): {"p"}}
}

# Too many images are one reason, and nobody is asked about any of them.
test_too_many_images_are_denied_unjudged if {
	crowd := [image | some i in numbers.range(1, 300); image := sprintf("reg.io/app%d:v1", [i])]
	got := _decision(given.running(crowd), _lenient, {"tags": "resolve", "no_match": "allow"})
	got == _denied([], ["too many images: got 300, want at most 256: spec"], [])
}

# Without an answer nothing is admitted: not of a tag, and not of an image.
test_pending_answers_admit_nothing if {
	not _pending_tag_admitted
	not _pending_image_admitted
}

_pending_tag_admitted if {
	admission.allowed with input as given.running(["reg.io/app:v1"])
		with data.cip as _lenient
		with data.cip_index.candidates as {"p"}
		with data.assay.config as {"tags": "resolve", "no_match": "allow"}
		with oci.parse as given.parse
		with oci.resolve as given.pending
}

_pending_image_admitted if {
	admission.allowed with input as given.running([_app])
		with data.cip as _lenient
		with data.cip_index.candidates as {"p"}
		with data.assay.config as {"no_match": "allow"}
		with oci.parse as given.pending
}
