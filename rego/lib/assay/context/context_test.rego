package assay.context_test

import data.assay.context
import data.assay.given_test as given

_all := {"spec", "metadata", "typemeta", "assay"}

_object := {
	"metadata": {"name": "web", "labels": {"a": "b"}},
	"spec": {"replicas": 2, "selector": {}, "template": {"spec": {"containers": []}}, "strategy": {}},
}

_context(kind, includes) := seen if {
	seen := context.of(includes, []) with input as given.review("CREATE", kind, _object)
}

# IN-5: which part of the spec upstream's types know.
_specs := {
	"IN-5: a Pod's is whole": {"kind": "/v1/Pod", "want": {"replicas", "selector", "template", "strategy"}},
	"IN-5: of a Deployment three fields": {"kind": "apps/v1/Deployment", "want": {"replicas", "selector", "template"}},
	"IN-5: of a Job the template": {"kind": "batch/v1/Job", "want": {"template"}},
	"IN-5: a CronJob's is whole": {"kind": "batch/v1/CronJob", "want": {"replicas", "selector", "template", "strategy"}},
	"IN-5: a Job of another group is another thing": {
		"kind": "example.com/v1/Job",
		"want": {"replicas", "selector", "template", "strategy"},
	},
}

test_the_spec_is_what_upstream_shows[note] if {
	some note, case in _specs
	object.keys(_context(case.kind, {"spec"}).spec) == case.want
}

# IN-6: all of the metadata.
test_the_metadata_is_whole if {
	_context("/v1/Pod", {"metadata"}) == {"metadata": {"name": "web", "labels": {"a": "b"}}}
}

# IN-7: of Pods as well. Unlike upstream, which leaves it out for them.
test_the_type_is_shown_of_every_kind if {
	_context("/v1/Pod", {"typemeta"}) == {"typemeta": {"kind": "Pod", "apiVersion": "v1"}}
	_context("apps/v1/Deployment", {"typemeta"}) == {"typemeta": {"kind": "Deployment", "apiVersion": "apps/v1"}}
}

test_nothing_is_shown_that_is_not_included if {
	_context("/v1/Pod", set()) == {}
}

test_what_is_absent_is_not_shown if {
	got := context.of(_all, []) with input as given.review("CREATE", "/v1/Pod", {})
	object.keys(got) == {"typemeta"}
}

# IN-8: what upstream does not show: image, containers, namespace, user, operation.
test_assay_shows_who_asks_for_which_containers if {
	review := given.running([given.image("app"), given.image("app")])
	asked := object.union(review, {"request": {
		"name": "web",
		"namespace": "prod",
		"userInfo": {"username": "jane"},
	}})
	subjects := [{
		"path": sprintf("spec.containers[%d].image", [i]),
		"image": given.image("app"),
		"name": given.image("app"),
		"digest": "sha256:d",
	} |
		some i in [0, 1]
	]
	got := context.of({"assay"}, subjects) with input as asked
	got.assay == {
		"image": given.image("app"),
		"digest": "sha256:d",
		"containers": [{
			"list": "containers",
			"index": i,
			"name": "",
			"image": given.image("app"),
			"path": sprintf("spec.containers[%d].image", [i]),
		} |
			some i in [0, 1]
		],
		"kind": {"group": "", "version": "v1", "kind": "Pod"},
		"name": "web",
		"namespace": "prod",
		"operation": "CREATE",
		"user": {"username": "jane"},
	}
}

test_labels_of_the_namespace_are_there_for_who_asks if {
	asked := {"request": object.union(given.review("CREATE", "/v1/Pod", {}).request, {"namespace": "prod"})}
	labels := {"tier": "web"}
	got := context.of({"assay", "namespace"}, [_subject]) with input as asked
		with data.assay.namespaces as {"prod": {"labels": labels}}
	got.assay.namespaceLabels == labels
	none := context.of({"assay", "namespace"}, [_subject]) with input as given.review("CREATE", "/v1/Pod", {})
		with data.assay.namespaces as {"prod": {"labels": labels}}
	none.assay.namespaceLabels == {}
	unasked := context.of({"assay"}, [_subject]) with input as asked
		with data.assay.namespaces as {"prod": {"labels": labels}}
	not "namespaceLabels" in object.keys(unasked.assay)
}

_subject := {
	"path": "spec.containers[0].image",
	"image": given.image("app"),
	"name": given.image("app"),
	"digest": "sha256:d",
}
