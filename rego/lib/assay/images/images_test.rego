package assay.images_test

import data.assay.given_test as given
import data.assay.images

_full := {
	"initContainers": [{"name": "i", "image": "init"}],
	"containers": [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}],
	"ephemeralContainers": [{"name": "e", "image": "debug"}],
	"volumes": [
		{"name": "none", "emptyDir": {}},
		{"name": "image", "image": {"reference": "model", "pullPolicy": "Always"}},
		{"name": "unset", "image": {"reference": ""}},
	],
}

_in_template := {"spec": {"template": {"spec": _full}}}

# RES-1, RES-8: the kinds that run images, and the places of images in them.
_workloads := {
	"/v1/Pod": {"at": ["spec"], "object": {"spec": _full}},
	"/v1/PodTemplate": {"at": ["template", "spec"], "object": {"template": {"spec": _full}}},
	"/v1/ReplicationController": {"at": ["spec", "template", "spec"], "object": _in_template},
	"apps/v1/ReplicaSet": {"at": ["spec", "template", "spec"], "object": _in_template},
	"apps/v1/Deployment": {"at": ["spec", "template", "spec"], "object": _in_template},
	"apps/v1/StatefulSet": {"at": ["spec", "template", "spec"], "object": _in_template},
	"apps/v1/DaemonSet": {"at": ["spec", "template", "spec"], "object": _in_template},
	"batch/v1/Job": {"at": ["spec", "template", "spec"], "object": _in_template},
	"batch/v1/CronJob": {
		"at": ["spec", "jobTemplate", "spec", "template", "spec"],
		"object": {"spec": {"jobTemplate": _in_template}},
	},
	"batch/v1beta1/CronJob": {
		"at": ["spec", "jobTemplate", "spec", "template", "spec"],
		"object": {"spec": {"jobTemplate": _in_template}},
	},
}

test_every_place_of_every_workload[kind] if {
	some kind, workload in _workloads
	review := given.review("CREATE", kind, workload.object)
	path := concat(".", workload.at)
	pointer := concat("/", workload.at)
	got := {
		"found": images.found,
		"malformed": images.malformed,
	} with input as review
	got == {
		"found": [
			{
				"path": sprintf("%s.initContainers[0].image", [path]),
				"pointer": sprintf("/%s/initContainers/0/image", [pointer]),
				"image": "init",
			},
			{
				"path": sprintf("%s.containers[0].image", [path]),
				"pointer": sprintf("/%s/containers/0/image", [pointer]),
				"image": "one",
			},
			{
				"path": sprintf("%s.containers[1].image", [path]),
				"pointer": sprintf("/%s/containers/1/image", [pointer]),
				"image": "two",
			},
			{
				"path": sprintf("%s.ephemeralContainers[0].image", [path]),
				"pointer": sprintf("/%s/ephemeralContainers/0/image", [pointer]),
				"image": "debug",
			},
			{
				"path": sprintf("%s.volumes[1].image", [path]),
				"pointer": sprintf("/%s/volumes/1/image/reference", [pointer]),
				"image": "model",
			},
		],
		"malformed": set(),
	}
}

# RES-2: unlike upstream, which lets pass what it does not know.
test_kinds_without_a_pod_spec_are_unhandled[path] if {
	some path, kind in {
		"/v1, Kind=Service": {"group": "", "version": "v1", "kind": "Service"},
		"rbac.authorization.k8s.io/v1, Kind=Role": {
			"group": "rbac.authorization.k8s.io",
			"version": "v1",
			"kind": "Role",
		},
		# A custom resource keeps its images elsewhere, whatever its name.
		"batch.volcano.sh/v1alpha1, Kind=Job": {"group": "batch.volcano.sh", "version": "v1alpha1", "kind": "Job"},
		"/v1, Kind=pod": {"group": "", "version": "v1", "kind": "pod"},
		"/, Kind=5": {"kind": 5},
		"/, Kind=": {},
	}
	got := images.malformed with input as {"request": {"kind": kind, "object": {"spec": _full}}}
	got == {{"message": "unhandled kind", "path": path}}
}

_nothing := {"found": [], "malformed": {{"message": "missing field(s)", "path": "spec"}}}

test_pods_without_a_spec_are_malformed[note] if {
	some note, obj in {
		"no object": null,
		"a list": [],
		"a text": "spec",
		"no spec": {"metadata": {}},
		"spec null": {"spec": null},
		"spec a list": {"spec": [{"image": "one"}]},
	}
	got := {
		"found": images.found,
		"malformed": images.malformed,
	} with input as given.review("CREATE", "/v1/Pod", obj)
	got == _nothing
}

test_review_without_an_object_is_malformed if {
	got := images.malformed with input as {"request": {"kind": {"group": "", "version": "v1", "kind": "Pod"}}}
	got == _nothing.malformed
}

_list := "invalid value: must be a list"

_object := "invalid value: must be an object"

# What cannot be read is reported at its path, and what is no image text becomes
# the one text that no reference has.
_specs := {
	"no lists": {"spec": {}, "images": [], "malformed": set()},
	"lists that are null": {
		"spec": {"initContainers": null, "containers": null, "ephemeralContainers": null, "volumes": null},
		"images": [],
		"malformed": set(),
	},
	"a list that is a text": {
		"spec": {"containers": "one"},
		"images": [],
		"malformed": {{"message": _list, "path": "spec.containers"}},
	},
	"lists that are objects": {
		"spec": {"containers": {"a": {"image": "one"}}, "volumes": {"v": {"image": {"reference": "model"}}}},
		"images": ["one", "model"],
		"malformed": {
			{"message": _list, "path": "spec.containers"},
			{"message": _list, "path": "spec.volumes"},
		},
	},
	"containers that are no objects": {
		"spec": {"initContainers": [null], "containers": ["one", {"image": "two"}]},
		"images": ["", "", "two"],
		"malformed": {
			{"message": _object, "path": "spec.initContainers[0]"},
			{"message": _object, "path": "spec.containers[0]"},
		},
	},
	"images that are no texts": {
		"spec": {"containers": [{"image": null}, {"image": 5}, {"image": {"a": "b"}}, {"name": "without"}]},
		"images": ["", "", "", ""],
		"malformed": set(),
	},
	"volumes that are no objects": {
		"spec": {"volumes": ["one", null]},
		"images": [],
		"malformed": {
			{"message": _object, "path": "spec.volumes[0]"},
			{"message": _object, "path": "spec.volumes[1]"},
		},
	},
	"volumes whose image is no object": {
		"spec": {"volumes": [{"image": "one"}, {"image": null}, {"image": {"reference": null}}]},
		"images": [],
		"malformed": {{"message": _object, "path": "spec.volumes[0].image"}},
	},
	"references that are no texts": {
		"spec": {"volumes": [{"image": {"reference": 5}}]},
		"images": [""],
		"malformed": set(),
	},
}

test_malformed_specs[note] if {
	some note, case in _specs
	got := {
		"spec": case.spec,
		"images": [entry.image | some entry in images.found],
		"malformed": images.malformed,
	} with input as given.pod(case.spec)
	got == case
}

# Images in every field, as many as are wanted in all, and volumes without one.
_crowd(total) := {
	"initContainers": [{"image": "init"}],
	"containers": [{"image": sprintf("app%d", [i])} | some i in numbers.range(4, total)],
	"ephemeralContainers": [{"image": "debug"}],
	"volumes": [
		{"image": {"reference": "model"}},
		{"image": {"reference": ""}},
		{"image": {"reference": null}},
		{"image": {}},
		{"image": "none"},
		{"emptyDir": {}},
	],
}

test_as_many_images_as_the_bound_are_found if {
	got := [count(images.found), images.malformed] with input as given.pod(_crowd(256))
	got == [256, {{"message": _object, "path": "spec.volumes[4].image"}}]
}

test_too_many_images_are_malformed_and_none_is_found if {
	got := {
		"found": images.found,
		"malformed": images.malformed,
		"registries": images.registries,
	} with input as given.pod(_crowd(257))
		with oci.parse as given.parse
	got == {
		"found": [],
		"malformed": {{"message": "too many images: got 257, want at most 256", "path": "spec"}},
		"registries": set(),
	}
}

# Not one entry for each of them.
test_too_many_containers_that_are_no_objects_are_one_entry if {
	got := images.malformed with input as given.pod({"containers": [null | some _ in numbers.range(1, 257)]})
	got == {{"message": "too many images: got 257, want at most 256", "path": "spec"}}
}

test_images_of_another_object_of_the_kind[note] if {
	some note, case in {
		"images": {"object": {"spec": {"containers": [{"image": "old"}]}}, "want": ["old"]},
		"none": {"object": null, "want": []},
	}
	found := images.of(case.object) with input as given.running(["new"])
	[entry.image | some entry in found] == case.want
}

test_registries_of_what_parses if {
	got := images.registries with input as given.running(["reg.io/a:v1", "reg.io/b:v1", "in@valid", "other.io/c:v1"])
		with oci.parse as given.parse
	got == {"reg.io", "other.io"}
}

# RES-7: which images an update leaves as they are.
_kept(old, new) := kept if {
	kept := images.unchanged with oci.parse as given.parse
		with input as given.update("/v1/Pod", {"spec": old}, {"spec": new})
}

_runs(list) := {"containers": [{"image": image} | some image in list]}

_one := given.image("one")

_two := given.image("two")

test_unchanged_images_of_an_update if {
	old := object.union(_runs([_one, _two]), {"volumes": [{"image": {"reference": _one}}]})
	_kept(old, old) == {_one, _two}
}

test_image_of_another_name_stands_for_what_it_names if {
	tagged := replace(_one, "@", ":v1@")
	_kept(_runs([tagged]), _runs([tagged])) == {_one}
}

test_image_that_changed_is_not_unchanged[note] if {
	some note, [old, new, want] in {
		"another digest": [_runs([_one]), _runs([replace(_one, "a", "b")]), set()],
		"another image": [_runs([_one, _two]), _runs([_one, given.image("three")]), {_one}],
		"another spelling": [_runs([_one]), _runs([replace(_one, "@", ":v1@")]), set()],
		"moved to another container": [_runs([_one, _two]), _runs([_two, _one]), set()],
		"moved to another list": [_runs([_one]), {"initContainers": [{"image": _one}]}, set()],
		"added in another container": [_runs([_one]), _runs([_one, _one]), set()],
		"added in another spelling": [_runs([_one]), _runs([_one, replace(_one, "@", ":v1@")]), set()],
		"added as a volume": [
			_runs([_one, _two]),
			object.union(_runs([_one, _two]), {"volumes": [{"image": {"reference": _one}}]}),
			{_two},
		],
		"a tag": [_runs(["reg.io/one:v1"]), _runs(["reg.io/one:v1"]), set()],
		"beside a tag, which may name it": [_runs([_one]), _runs([_one, "reg.io/one:v1"]), set()],
		"beside what is no reference": [_runs([_one]), _runs([_one, "in@valid"]), set()],
		"a list that is none": [_runs([_one]), object.union(_runs([_one]), {"volumes": "v"}), set()],
		"no old object": [null, _runs([_one]), set()],
	}
	_kept(old, new) == want
}

test_only_updates_leave_images_unchanged[operation] if {
	some operation in ["CREATE", "DELETE", "CONNECT", null]
	obj := {"spec": _runs([_one])}
	review := object.union(given.review(operation, "/v1/Pod", obj), {"request": {"oldObject": obj}})
	got := images.unchanged with oci.parse as given.parse with input as review
	got == set()
}

test_update_without_an_old_object_leaves_nothing_unchanged if {
	got := images.unchanged with oci.parse as given.parse
		with input as given.review("UPDATE", "/v1/Pod", {"spec": _runs([_one])})
	got == set()
}

_running_as := {"serviceAccountName": "shop", "imagePullSecrets": [{"name": "one"}, {"name": "two.b"}]}

# AUTH-1: wherever the Pod spec stands.
test_workload_of_every_kind[kind] if {
	some kind, workload in _workloads
	obj := json.patch(workload.object, [{"op": "replace", "path": workload.at, "value": _running_as}])
	review := object.union(given.review("CREATE", kind, obj), {"request": {"namespace": "store"}})
	got := images.workload with input as review
	got == {
		"namespace": "store",
		"serviceAccount": "shop",
		"pullSecrets": ["one", "two.b"],
		"path": concat(".", workload.at),
	}
}

# AUTH-1: what is no name is left out, and what is none at all is the default.
test_workload_of_odd_specs[note] if {
	some note, case in {
		"nothing": {"spec": {}, "account": "default", "secrets": []},
		"no spec": {"spec": null, "account": "default", "secrets": []},
		"empty": {"spec": {"serviceAccountName": "", "imagePullSecrets": []}, "account": "default", "secrets": []},
		"null": {"spec": {"serviceAccountName": null, "imagePullSecrets": null}, "account": "default", "secrets": []},
		"other types": {
			"spec": {"serviceAccountName": ["a"], "imagePullSecrets": {"name": "a"}},
			"account": "default",
			"secrets": [],
		},
		"a path": {
			"spec": {"serviceAccountName": "../kube-system/default", "imagePullSecrets": [{"name": "../../bank/pull"}]},
			"account": "default",
			"secrets": [],
		},
		"too long": {
			"spec": {"imagePullSecrets": [{"name": concat("", ["a" | some _ in numbers.range(1, 254)])}]},
			"account": "default",
			"secrets": [],
		},
		"without measure": {
			"spec": {"imagePullSecrets": [{"name": sprintf("s%d", [i])} | some i in numbers.range(1, 1100)]},
			"account": "default",
			"secrets": [sprintf("s%d", [i]) | some i in numbers.range(1, 1000)],
		},
		"some of them": {
			"spec": {"imagePullSecrets": ["a", null, {"name": 5}, {"name": "B"}, {}, {"name": "good"}]},
			"account": "default",
			"secrets": ["good"],
		},
	}
	got := images.workload with input as given.pod(case.spec)
	[got.serviceAccount, got.pullSecrets] == [case.account, case.secrets]
}

# The namespace is the request's; what the object says of it does not count.
test_workload_of_odd_reviews[note] if {
	some note, case in {
		"no review": {"input": {}, "namespace": "", "path": ""},
		"a text": {"input": {"request": "r"}, "namespace": "", "path": ""},
		"no kind": {"input": {"request": {"namespace": "store"}}, "namespace": "store", "path": ""},
		"no text": {"input": {"request": {"namespace": ["store"]}}, "namespace": "", "path": ""},
		"the object's": {
			"input": object.union(
				given.review("CREATE", "/v1/Pod", {"metadata": {"namespace": "bank"}, "spec": {}}),
				{"request": {"namespace": "store"}},
			),
			"namespace": "store",
			"path": "spec",
		},
	}
	got := images.workload with input as case.input
	got == {"namespace": case.namespace, "serviceAccount": "default", "pullSecrets": [], "path": case.path}
}
