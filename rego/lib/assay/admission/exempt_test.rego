package assay.admission_test

import data.assay.admission
import data.assay.given_test as given

# RES-6: Requests of which nothing is asked, and those that look like them. No policy
# matches anything here, so what is judged is denied.
_object(image, replicas, metadata) := {
	"metadata": metadata,
	"spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}},
}

_old := _object(_app, 3, {})

_gone := {"deletionTimestamp": "2026-01-01T00:00:00Z"}

_status(operation) := object.union(
	given.update("apps/v1/Deployment", _old, _object("reg.io/new:v1", 3, {})),
	{"request": {"subResource": "status", "operation": operation}},
)

_exempt := {
	"deletion": given.review("DELETE", "apps/v1/Deployment", null),
	"deletion of a kind that is not handled": given.review("DELETE", "/v1/Service", null),
	"status": _status("UPDATE"),
	"going away with the same images": given.update("apps/v1/Deployment", _old, _object(_app, 3, _gone)),
	"going away with the same tag": given.update(
		"apps/v1/Deployment",
		_object("reg.io/app:v1", 3, {}),
		_object("reg.io/app:v1", 3, _gone),
	),
	"scaled down with the same images": given.update("apps/v1/Deployment", _old, _object(_app, 2, {})),
	"scaled down to nothing": given.update("apps/v1/StatefulSet", _old, _object(_app, 0, {})),
}

test_exempt_requests_are_admitted_unseen[note] if {
	some note, review in _exempt
	_decision(review, {}, _strict) == _admitted([], [])
}

_new := given.image("new")

_judged := {
	"creation": given.review("CREATE", "apps/v1/Deployment", _old),
	"creation of what goes away": given.review("CREATE", "apps/v1/Deployment", _object(_app, 3, _gone)),
	"creation, smaller than an old object": object.union(
		given.review("CREATE", "apps/v1/Deployment", _object(_app, 1, {})),
		{"request": {"oldObject": _old}},
	),
	"update": given.update("apps/v1/Deployment", _old, _object(_app, 3, {"labels": {"a": "b"}})),
	"status of a creation": _status("CREATE"),
	"another subresource": object.union(_status("UPDATE"), {"request": {"subResource": "ephemeralcontainers"}}),
	"going away with another image": given.update("apps/v1/Deployment", _old, _object(_new, 3, _gone)),
	"going away, without the old object": given.review("UPDATE", "apps/v1/Deployment", _object(_app, 3, _gone)),
	"going away at no time": given.update(
		"apps/v1/Deployment", _old,
		_object(_app, 3, {"deletionTimestamp": null}),
	),
	"going away at the empty time": given.update(
		"apps/v1/Deployment", _old,
		_object(_app, 3, {"deletionTimestamp": ""}),
	),
	"scaled up": given.update("apps/v1/Deployment", _old, _object(_app, 4, {})),
	"scaled down with another image": given.update("apps/v1/Deployment", _old, _object(_new, 2, {})),
	"scaled down to no number": given.update("apps/v1/Deployment", _old, _object(_app, null, {})),
	"scaled down from no number": given.update("apps/v1/Deployment", _object(_app, "3", {}), _object(_app, 2, {})),
	"scaled down with the image in another place": given.update(
		"apps/v1/Deployment",
		_old,
		{"spec": {"replicas": 2, "template": {"spec": {"initContainers": [{"image": _app}]}}}},
	),
	"scaled down into the host's network": given.update("apps/v1/Deployment", _old, {"spec": {
		"replicas": 2,
		"template": {"spec": {"hostNetwork": true, "containers": [{"image": _app}]}},
	}}),
	"scaled down with one image more": given.update("apps/v1/Deployment", _old, {"spec": {
		"replicas": 2,
		"template": {"spec": {"containers": [{"image": _app}, {"image": _app}]}},
	}}),
}

test_requests_that_may_run_something_new_are_judged[note] if {
	some note, review in _judged
	got := _decision(review, {}, _strict)
	[got.allowed, count(got.images) > 0, count(got.reasons) > 0] == [false, true, true]
}

test_what_is_not_understood_is_not_exempt[note] if {
	some note, case in {
		"a kind that is not handled": {
			"review": given.update("/v1/Service", {}, {"metadata": _gone}),
			"want": "unhandled kind: /v1, Kind=Service",
		},
		"an object that is malformed, as it was": {
			"review": given.update("/v1/Pod", {"spec": {"containers": "a"}}, {"metadata": _gone, "spec": {"containers": "a"}}),
			"want": "invalid value: must be a list: spec.containers",
		},
	}
	_decision(case.review, {}, {"no_match": "allow"}) == _denied([], [case.want], [])
}

test_exempt_is_false_and_not_undefined if {
	exempt := admission.exempt with input as {}
	exempt == false
}
