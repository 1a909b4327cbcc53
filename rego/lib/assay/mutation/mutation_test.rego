package assay.mutation_test

import data.assay.given_test as given
import data.assay.mutation

_decision(review) := _set(review, "pin")

_set(review, tags) := decision if {
	decision := mutation.decision with input as review
		with data.assay.config as {"tags": tags}
		with oci.parse as given.parse
		with oci.resolve as given.resolve
}

_answer(patch, warnings) := {
	"allowed": true,
	"images": [],
	"reasons": [],
	"warnings": warnings,
	"patch": patch,
}

_untouched := _answer([], [])

_v1 := concat("@", ["reg.io/app:v1", split(given.image("app"), "@")[1]])

# MUT-1: wherever a tag stands.
test_tags_become_digests_wherever_they_stand if {
	got := _decision(given.pod({
		"initContainers": [{"image": given.image("init")}],
		"containers": [{"image": "reg.io/app:v1"}, {"image": "in@valid"}],
		"volumes": [{"image": {"reference": "reg.io/app:v1"}}],
	}))
	got == _answer(
		[
			{"op": "replace", "path": "/spec/containers/0/image", "value": _v1},
			{"op": "replace", "path": "/spec/volumes/0/image/reference", "value": _v1},
		],
		[],
	)
}

test_tag_of_a_template_on_update if {
	obj := {"spec": {"template": {"spec": {"containers": [{"image": "reg.io/app:v1"}]}}}}
	got := _decision(given.update("apps/v1/Deployment", {}, obj))
	got == _answer([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": _v1}], [])
}

# GitOps tools compare templates with what they wrote.
test_tags_of_templates_stay_where_pods_alone_are_pinned if {
	obj := {"spec": {"template": {"spec": {"containers": [{"image": "reg.io/app:v1"}]}}}}
	_set(given.update("apps/v1/Deployment", {}, obj), "pods") == _untouched
	_set(given.running(["reg.io/app:v1"]), "pods") == _answer(
		[{"op": "replace", "path": "/spec/containers/0/image", "value": _v1}],
		[],
	)
}

# RES-4: kubectl debug.
test_tags_of_ephemeral_containers_become_digests if {
	obj := {"spec": {
		"containers": [{"image": given.image("app")}],
		"ephemeralContainers": [{"image": "reg.io/app:v1"}],
	}}
	review := object.union(given.update("/v1/Pod", {}, obj), {"request": {"subResource": "ephemeralcontainers"}})
	_set(review, "pods") == _answer(
		[{"op": "replace", "path": "/spec/ephemeralContainers/0/image", "value": _v1}],
		[],
	)
}

test_nothing_is_pinned_unless_it_is_set[tags] if {
	some tags in ["deny", "resolve", "", "Pin"]
	_set(given.running(["reg.io/app:v1"]), tags) == _untouched
}

# MUT-4: unlike upstream, the cause is told.
test_tag_that_cannot_be_resolved_stays_with_a_warning if {
	got := _decision(given.running(["reg.io/app:v1", "reg.io/app:v2"]))
	got == _answer(
		[{"op": "replace", "path": "/spec/containers/0/image", "value": _v1}],
		["spec.containers[1].image: reg.io/app:v2 stays a tag: not_found: no such tag"],
	)
}

# MUT-1, MUT-3: what is no tag, and requests that create and update nothing.
_without_tags := {
	"digests": given.running([given.image("app")]),
	"what cannot be parsed": given.running(["in@valid", "", null]),
	"another operation": given.review("DELETE", "/v1/Pod", {"spec": {"containers": [{"image": "reg.io/app:v1"}]}}),
	"a connection": given.review("CONNECT", "/v1/Pod", {"spec": {"containers": [{"image": "reg.io/app:v1"}]}}),
	"an unhandled kind": given.review("CREATE", "/v1/Service", {"spec": {"containers": [{"image": "reg.io/app:v1"}]}}),
	"what is exempt": given.update(
		"/v1/Pod",
		{"spec": {"containers": [{"image": "reg.io/app:v1"}]}},
		{"metadata": {"deletionTimestamp": "now"}, "spec": {"containers": [{"image": "reg.io/app:v1"}]}},
	),
	"too many images": given.running([image | some i in numbers.range(1, 257); image := sprintf("reg.io/app%d:v1", [i])]),
	"no request": {},
}

test_nothing_else_is_touched[note] if {
	some note, review in _without_tags
	_decision(review) == _untouched
}

test_tag_without_an_answer_is_not_touched if {
	got := mutation.decision with input as given.running(["reg.io/app:v1"])
		with data.assay.config as {"tags": "pin"}
		with oci.parse as given.parse
		with oci.resolve as given.pending
	got == _untouched
}
