package assay.tags_test

import data.assay.given_test as given
import data.assay.tags

_said(review, config) := [name | some name in ["pinned", "judged", "patched"]; said[name]] if {
	said := {"pinned": tags.pinned, "judged": tags.judged, "patched": tags.patched} with input as review
		with data.assay.config as config
}

_pod := given.running(["reg.io/app:v1"])

_debugged := object.union(
	given.update("/v1/Pod", {}, {"spec": {"ephemeralContainers": [{"image": "reg.io/app:v1"}]}}),
	{"request": {"subResource": "ephemeralcontainers"}},
)

_template := given.review("CREATE", "apps/v1/Deployment", {"spec": {"template": {"spec": {"containers": []}}}})

_cases := {
	"deny: a Pod": [_pod, {"tags": "deny"}, []],
	"deny: a template": [_template, {"tags": "deny"}, []],
	"nothing set: a template": [_template, {}, []],
	"anything else: a template": [_template, {"tags": "Pods"}, []],
	"pin: a Pod": [_pod, {"tags": "pin"}, ["pinned"]],
	"pin: a template": [_template, {"tags": "pin"}, ["pinned"]],
	"pods: a Pod": [_pod, {"tags": "pods"}, ["pinned"]],
	"pods: an ephemeral container": [_debugged, {"tags": "pods"}, ["pinned"]],
	"pods: a template": [_template, {"tags": "pods"}, ["judged"]],
	"pods: a Revision of Knative": [
		given.review("CREATE", "serving.knative.dev/v1/Revision", {"spec": {"containers": []}}),
		{"tags": "pods"},
		["judged"],
	],
	"pods: a Pod of another group": [given.review("CREATE", "acme.io/v1/Pod", {"spec": {}}), {"tags": "pods"}, []],
	"pods: an unhandled kind": [given.review("CREATE", "/v1/Service", {"spec": {}}), {"tags": "pods"}, []],
	"pods: no review": [{}, {"tags": "pods"}, []],
	"resolve: a Pod": [_pod, {"tags": "resolve"}, ["judged", "patched"]],
	"resolve: a template": [_template, {"tags": "resolve"}, ["judged", "patched"]],
}

test_where_a_tag_becomes_a_digest[note] if {
	some note, [review, config, want] in _cases
	_said(review, config) == want
}
