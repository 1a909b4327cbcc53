package assay.workloads_test

import data.assay.given_test as given
import data.assay.images
import data.assay.tags
import data.assay.workloads

_rollout := {
	"name": "rollouts", "group": "argoproj.io", "kind": "Rollout", "versions": ["v1alpha1"], "refused": "",
	"pod_specs": [[["spec", "template", "spec"]], [["spec", "jobs"], ["spec"]]],
	"images": [[["spec", "steps"], ["sidecars"], ["image"]], [["spec", "tools"], []], [["spec", "image"]]],
	"elsewhere": [["spec", "workloadRef"]],
}

_kind := "argoproj.io/v1alpha1/Rollout"

_said(obj, entries) := said if {
	said := {
		"found": images.found,
		"malformed": images.malformed,
		"template": images.template,
	} with input as given.review("CREATE", _kind, obj) with data.assay.config.workloads as entries
}

_review := given.review("CREATE", _kind, _full)

_found(obj) := [[entry.path, entry.pointer, entry.image] | some entry in _said(obj, [_rollout]).found]

_malformed(obj, entries) := {text |
	some entry in _said(obj, entries).malformed
	text := sprintf("%s: %s", [entry.message, entry.path])
}

_full := {"spec": {
	"template": {"spec": {
		"containers": [{"name": "a", "image": "one"}],
		"volumes": [{"name": "v", "image": {"reference": "model"}}],
	}},
	"jobs": [{"spec": {"initContainers": [{"name": "i", "image": "init"}]}}, {"other": 1}],
	"steps": [{"sidecars": [{"image": "s0"}, {"name": "none"}, {"image": "s2"}]}, {"sidecars": null}, {}],
	"tools": ["t0", "t1"],
	"image": "field",
}}

test_every_place_of_a_custom_kind if {
	_found(_full) == [
		["spec.template.spec.containers[0].image", "/spec/template/spec/containers/0/image", "one"],
		["spec.template.spec.volumes[0].image", "/spec/template/spec/volumes/0/image/reference", "model"],
		["spec.jobs[0].spec.initContainers[0].image", "/spec/jobs/0/spec/initContainers/0/image", "init"],
		["spec.steps[0].sidecars[0].image", "/spec/steps/0/sidecars/0/image", "s0"],
		["spec.steps[0].sidecars[2].image", "/spec/steps/0/sidecars/2/image", "s2"],
		["spec.tools[0]", "/spec/tools/0", "t0"],
		["spec.tools[1]", "/spec/tools/1", "t1"],
		["spec.image", "/spec/image", "field"],
	]
	_malformed(_full, [_rollout]) == set()
}

test_four_lists_in_each_other if {
	deep := object.union(_rollout, {"images": [[["a"], ["b"], [], [], ["image"]]], "pod_specs": []})
	said := _said({"a": [{"b": [[[{"image": "x"}]], []]}]}, [deep])
	[entry.path | some entry in said.found] == ["a[0].b[0][0][0].image"]
	said.malformed == set()
}

test_custom_kinds_are_templates if {
	_said(_full, [_rollout]).template
	not _said(_full, []).template
	config := {"tags": "pods", "workloads": [_rollout]}
	tags.judged with input as _review with data.assay.config as config
	not tags.pinned with input as _review with data.assay.config as config
}

test_every_image_has_a_place if {
	places := images.places with input as _review with data.assay.config.workloads as [_rollout]
	count({entry[0] | some entry in _found(_full)} - object.keys(places)) == 0
	places["spec.jobs[0].spec.initContainers[0].image"] == {"list": "initContainers", "index": 0, "name": "i"}
}

# What is not understood is denied.
_refusals := {
	"no path leads anywhere": {"obj": {"spec": {"tmplate": {}}}, "entries": [_rollout], "want": {concat("", [
		"missing field(s): spec.template.spec, spec.jobs[*].spec, ",
		"spec.steps[*].sidecars[*].image, spec.tools[*], spec.image",
	])}},
	"what stands elsewhere is empty": {"obj": {"spec": {"workloadRef": {}}}, "entries": [_rollout], "want": {concat("", [
		"missing field(s): spec.template.spec, spec.jobs[*].spec, ",
		"spec.steps[*].sidecars[*].image, spec.tools[*], spec.image",
	])}},
	"a field on the way is no object": {
		"obj": {"spec": {"template": ["x"], "image": "x"}}, "entries": [_rollout],
		"want": {"invalid value: must be an object: spec.template"},
	},
	"an element is no object": {
		"obj": {"spec": {"steps": ["x"], "image": "x"}}, "entries": [_rollout],
		"want": {"invalid value: must be an object: spec.steps[0]"},
	},
	"a list is none": {
		"obj": {"spec": {"steps": {"0": {"sidecars": [{"image": "x"}]}}, "image": "x"}}, "entries": [_rollout],
		"want": {"invalid value: must be a list: spec.steps"},
	},
	"a list within a list is none": {
		"obj": {"spec": {"steps": [{"sidecars": "x"}], "image": "x"}}, "entries": [_rollout],
		"want": {"invalid value: must be a list: spec.steps[0].sidecars"},
	},
	"a Pod spec is none": {
		"obj": {"spec": {"template": {"spec": "x"}}}, "entries": [_rollout],
		"want": {"invalid value: must be an object: spec.template.spec"},
	},
	"containers are no list": {
		"obj": {"spec": {"template": {"spec": {"containers": "x"}}}}, "entries": [_rollout],
		"want": {"invalid value: must be a list: spec.template.spec.containers"},
	},
	"a container is no object": {
		"obj": {"spec": {"jobs": [{"spec": {"containers": ["x"]}}]}}, "entries": [_rollout],
		"want": {"invalid value: must be an object: spec.jobs[0].spec.containers[0]"},
	},
	"what stands elsewhere lies in what is no object": {
		"obj": {"spec": "x"}, "entries": [object.union(_rollout, {"pod_specs": [], "images": [[["image"]]]})],
		"want": {"missing field(s): image", "invalid value: must be an object: spec"},
	},
	"two WorkloadPaths": {
		"obj": _full, "entries": [_rollout, object.union(_rollout, {"name": "again", "versions": []})],
		"want": {"several WorkloadPaths are about the kind: again, rollouts: argoproj.io/v1alpha1, Kind=Rollout"},
	},
	"WorkloadPaths that cannot be read": {
		"obj": _full, "entries": [object.union(_rollout, {"refused": "spec.images: got none"})],
		"want": {"WorkloadPaths rollouts: spec.images: got none: argoproj.io/v1alpha1, Kind=Rollout"},
	},
	"another version": {
		"obj": _full, "entries": [object.union(_rollout, {"versions": ["v1"]})],
		"want": {"unhandled kind: argoproj.io/v1alpha1, Kind=Rollout"},
	},
	"another group": {
		"obj": _full, "entries": [object.union(_rollout, {"group": "apps"})],
		"want": {"unhandled kind: argoproj.io/v1alpha1, Kind=Rollout"},
	},
	"no WorkloadPaths": {"obj": _full, "entries": [], "want": {"unhandled kind: argoproj.io/v1alpha1, Kind=Rollout"}},
	"the object is none": {"obj": "x", "entries": [_rollout], "want": {concat("", [
		"missing field(s): spec.template.spec, spec.jobs[*].spec, ",
		"spec.steps[*].sidecars[*].image, spec.tools[*], spec.image",
	])}},
}

test_refusals[name] if {
	some name, case in _refusals
	_malformed(case.obj, case.entries) == case.want
}

test_images_that_are_no_text_are_no_reference if {
	{entry[2] | some entry in _found({"spec": {"image": 5, "tools": [{}, ["x"], ""]}})} == {""}
}

test_what_stands_elsewhere_needs_no_image if {
	said := _said({"spec": {"workloadRef": {"name": "app"}}}, [_rollout])
	said.found == []
	said.malformed == set()
}

test_too_many_images if {
	many := {"spec": {"tools": [sprintf("t%d", [i]) | some i in numbers.range(1, 257)], "template": {"spec": {}}}}
	said := _said(many, [_rollout])
	said.found == []
	said.malformed == {{"message": "too many images: got 257, want at most 256", "path": "spec.template.spec"}}
}

test_kinds_of_kubernetes_stay_as_they_are if {
	entry := object.union(_rollout, {
		"group": "", "kind": "Pod", "versions": [],
		"pod_specs": [], "images": [[["metadata", "name"]]],
	})
	review := given.pod({"containers": [{"image": "one"}]})
	found := images.found with input as review with data.assay.config.workloads as [entry]
	"one" in {image.image | some image in found}
}

test_old_objects_are_compared if {
	review := given.review("UPDATE", _kind, {})
	found := images.of(_full) with input as review with data.assay.config.workloads as [_rollout]
	count(found) == 8
	workloads.known with input as review with data.assay.config.workloads as [_rollout]
}

# Whose credentials are meant, where there is one Pod spec.
test_workload_of_one_pod_spec if {
	spec := {"serviceAccountName": "shop", "imagePullSecrets": [{"name": "pull"}]}
	one := {"spec": {"template": {"spec": spec}}}
	review := object.union(given.review("CREATE", _kind, one), {"request": {"namespace": "ns"}})
	got := images.workload with input as review with data.assay.config.workloads as [_rollout]
	got == {"namespace": "ns", "serviceAccount": "shop", "pullSecrets": ["pull"], "path": "spec.template.spec"}
	two := {"spec": {"template": {"spec": spec}, "jobs": [{"spec": spec}]}}
	neither := images.workload with input as given.review("CREATE", _kind, two)
		with data.assay.config.workloads as [_rollout]
	neither == {"namespace": "", "serviceAccount": "default", "pullSecrets": [], "path": ""}
}
