# METADATA
# title: Context
# description: |
#   What policies inside a ClusterImagePolicy see of the review besides the
#   image (IN-5, IN-6, IN-7), and under `assay` what no field of upstream shows.
package assay.context

import data.assay.images

# METADATA
# title: Context of an image
# description: |
#   The parts of the review that a policy includes; `subjects` are the places
#   that name the image.
of(includes, subjects) := object.union(
	object.filter(_parts, includes),
	{"assay": object.union(_assay(subjects), _labels(includes)) | "assay" in includes},
)

# Of an object without a namespace there are none. That those of another are known is seen to before.
_labels(includes) := {} if {
	not "namespace" in includes
} else := {"namespaceLabels": labels} if {
	labels := data.assay.namespaces[input.request.namespace].labels
} else := {"namespaceLabels": {}}

_parts["spec"] := _spec

_parts["metadata"] := images.object_under_review.metadata

# Unlike upstream, which leaves it out for Pods (IN-7).
_parts["typemeta"] := {"kind": input.request.kind.kind, "apiVersion": _version(input.request.kind)}

# Upstream knows some kinds by their Pod template alone (IN-5).
_spec := object.filter(images.object_under_review.spec, _known[input.request.kind.kind]) if {
	input.request.kind.group in {"apps", "batch"}
	_known[input.request.kind.kind]
} else := images.object_under_review.spec

_known := {
	"ReplicaSet": ["replicas", "selector", "template"],
	"Deployment": ["replicas", "selector", "template"],
	"StatefulSet": ["replicas", "selector", "template"],
	"DaemonSet": ["template"],
	"Job": ["template"],
}

_version(kind) := kind.version if {
	kind.group == ""
} else := sprintf("%s/%s", [kind.group, kind.version])

_assay(subjects) := {
	"image": subjects[0].name,
	"digest": subjects[0].digest,
	"containers": [object.union(images.places[subject.path], {"image": subject.image, "path": subject.path}) |
		some subject in subjects
	],
	"kind": input.request.kind,
	"name": object.get(input.request, "name", ""),
	"namespace": object.get(input.request, "namespace", ""),
	"operation": object.get(input.request, "operation", ""),
	"user": object.get(input.request, "userInfo", {}),
}
