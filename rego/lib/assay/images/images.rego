# METADATA
# title: Images
# description: |
#   Finds every image of a workload: of init, ordinary and ephemeral containers
#   and of image volumes. What is not understood is reported in `malformed`,
#   never skipped.
package assay.images

import data.assay.kinds
import data.assay.workloads

# METADATA
# title: Object under review
# description: The object as it would be stored, empty when the review has none.
object_under_review := _object(object.get(input, ["request", "object"], {}))

# METADATA
# title: Path of the Pod spec
# description: |
#   Where the Pod spec of the reviewed kind stands; undefined for kinds without
#   one. The kind is the review's and not the object's, and its group counts: a
#   custom resource of the name Job may keep its images anywhere.
pod_spec_path := _pod_spec_paths[_kind.group][_kind.kind]

_pod_spec_paths := {
	"": {
		"Pod": ["spec"],
		"PodTemplate": ["template", "spec"],
		"ReplicationController": ["spec", "template", "spec"],
	},
	"apps": {
		"ReplicaSet": ["spec", "template", "spec"],
		"Deployment": ["spec", "template", "spec"],
		"StatefulSet": ["spec", "template", "spec"],
		"DaemonSet": ["spec", "template", "spec"],
	},
	"batch": {
		"Job": ["spec", "template", "spec"],
		"CronJob": ["spec", "jobTemplate", "spec", "template", "spec"],
	},
	"serving.knative.dev": {
		"Service": ["spec", "template", "spec"],
		"Configuration": ["spec", "template", "spec"],
		"Revision": ["spec"],
	},
}

# METADATA
# title: Pod
# description: Whether the object is a Pod, of which a kubelet runs what stands in it.
# scope: document
default pod := false

pod if {
	_kind.group == ""
	_kind.kind == "Pod"
}

# METADATA
# title: Template
# description: Whether the object runs nothing itself, and Pods are made of its Pod spec.
# scope: document
default template := false

template if {
	pod_spec_path
	not pod
}

# Custom kinds run nothing themselves either: a controller makes Pods of them.
template if workloads.understood

_kind[part] := object.get(input, ["request", "kind", part], "") if some part in ["group", "version", "kind"]

# METADATA
# title: Images found
# description: |
#   One entry for each place that names an image, in the order of the fields.
#   None where there are too many to be judged, which `malformed` reports.
found := [] if {
	_too_many
} else := [] if {
	kinds.imageless(_kind)
} else := of(object_under_review)

# A decision has seconds, and each image asks its own questions.
_most := 256

_too_many if _total > _most

# How many `of` would find. Finding takes longer than counting.
_total := (count(containers) + count(volumes)) + count(workloads.images(object_under_review)) if {
	containers := [1 |
		some lists in _lists
		some group in ["initContainers", "containers", "ephemeralContainers"]
		some _ in lists[group]
	]
	volumes := [1 |
		some lists in _lists
		some volume in lists.volumes
		reference := volume.image.reference
		not reference in {"", null}
	]
}

# METADATA
# title: Images of an object
# description: The images of any object of the reviewed kind, for comparing the old one with the new.
of(obj) := array.concat(
	[entry | some spec in _pod_specs(obj); some entry in _within(obj, spec)],
	workloads.images(_object(obj)),
)

# Where the Pod specs of an object stand: one in kinds of Kubernetes.
_pod_specs(obj) := array.concat(_built_in, workloads.pod_specs(_object(obj)))

default _built_in := []

_built_in := [{"at": pod_spec_path, "dotted": concat(".", pod_spec_path), "pointer": concat("/", pod_spec_path)}]

_within(obj, place) := array.concat(containers, volumes) if {
	spec := _object(object.get(_object(obj), place.at, {}))
	containers := [entry |
		some group in ["initContainers", "containers", "ephemeralContainers"]
		some i, container in object.get(spec, group, [])
		entry := _entry(place, [group, i, "image"], object.get(_object(container), "image", ""))
	]
	volumes := [entry |
		some i, volume in object.get(spec, "volumes", [])
		reference := object.get(_object(volume), ["image", "reference"], "")
		not reference in {"", null}
		entry := _volume_entry(place, i, reference)
	]
}

# METADATA
# title: Places of images
# description: |
#   The container or volume at each path of `found`: the list it stands in, its
#   index there and its name. Outside of Pod specs there is neither.
# scope: document
places[path] := {"list": group, "index": i, "name": object.get(_object(item), "name", "")} if {
	some dotted, lists in _lists
	some group, list in lists
	some i, item in list
	path := sprintf("%s.%s[%v].image", [dotted, group, i])
}

places[entry.path] := {"list": "", "index": 0, "name": ""} if some entry in workloads.images(object_under_review)

# What is no object has no fields; `malformed` reports it.
_object(value) := value if {
	is_object(value)
} else := {}

_entry(place, [group, i, field], image) := {
	"path": sprintf("%s.%s[%v].%s", [place.dotted, group, i, field]),
	"pointer": sprintf("/%s/%s/%v/%s", [place.pointer, group, i, field]),
	"image": _text(image),
}

# policy-controller names the image of a volume without the last field (RES-8).
_volume_entry(place, i, reference) := {
	"path": sprintf("%s.volumes[%v].image", [place.dotted, i]),
	"pointer": sprintf("/%s/volumes/%v/image/reference", [place.pointer, i]),
	"image": _text(reference),
}

# An image that is no string becomes the one text that no reference has: the
# JSON of null or of 5 would name a repository.
_text(image) := image if {
	is_string(image)
} else := ""

# METADATA
# title: Malformed parts
# description: |
#   Why the images of the object cannot be told, as `{message, path}`. Any entry
#   denies: an object that is not understood might run anything.
# scope: document
malformed contains {"message": "unhandled kind", "path": path} if {
	not pod_spec_path
	not workloads.known
	not kinds.imageless(_kind)
	path := sprintf("%v/%v, Kind=%v", [_kind.group, _kind.version, _kind.kind])
}

malformed contains {"message": "missing field(s)", "path": concat(".", pod_spec_path)} if {
	not is_object(object.get(object_under_review, pod_spec_path, null))
}

malformed contains entry if some entry in workloads.malformed

malformed contains {"message": message, "path": path} if {
	_too_many
	message := sprintf("too many images: got %d, want at most %d", [_total, _most])
	path := concat(", ", [place.dotted | some place in _pod_specs(object_under_review)])
}

malformed contains {"message": "invalid value: must be a list", "path": path} if {
	some dotted, lists in _lists
	some group, list in lists
	not is_array(list)
	path := concat(".", [dotted, group])
}

malformed contains {"message": "invalid value: must be an object", "path": path} if {
	not _too_many
	some dotted, lists in _lists
	some group, list in lists
	some i, item in list
	not is_object(item)
	path := sprintf("%s.%s[%v]", [dotted, group, i])
}

malformed contains {"message": "invalid value: must be an object", "path": path} if {
	not _too_many
	some dotted, lists in _lists
	some i, volume in lists.volumes
	is_object(volume)
	source := object.get(volume, "image", null)
	not source == null
	not is_object(source)
	path := sprintf("%s.volumes[%v].image", [dotted, i])
}

# The fields of each Pod spec that hold images. A list that is null is empty.
_lists[place.dotted][group] := list if {
	some place in _pod_specs(object_under_review)
	some group in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	list := object.get(object_under_review, array.concat(place.at, [group]), null)
	not list == null
}

# METADATA
# title: Workload
# description: |
#   Whose credentials registries are asked with: the namespace of the review, the
#   ServiceAccount of the one Pod spec and the names in its imagePullSecrets. What is
#   no name is left out: it can only lead to fewer credentials. The namespace is the
#   request's, which the API server wrote, and never one that the object claims.
workload := {
	"namespace": _text(object.get(input, ["request", "namespace"], "")),
	"serviceAccount": _service_account(object.get(_pod_spec, "serviceAccountName", "")),
	"pullSecrets": [name |
		some secret in _pull_secrets(object.get(_pod_spec, "imagePullSecrets", []))
		name := object.get(_object(secret), "name", "")
		_is_name(name)
	],
	"path": _path,
}

default _pod_spec := {}

_pod_spec := _object(object.get(object_under_review, _own_place.at, {}))

default _path := ""

_path := _own_place.dotted

# With several Pod specs nobody can say whose credentials are meant: there are fewer then.
_own_place := specs[0] if {
	specs := _pod_specs(object_under_review)
	count(specs) == 1
}

_service_account(name) := name if {
	_is_name(name)
} else := "default"

# Of a list without measure the beginning is enough to be refused by.
_pull_secrets(list) := array.slice(list, 0, 1000) if {
	is_array(list)
} else := []

# As Kubernetes names Secrets and ServiceAccounts (RFC 1123).
_is_name(name) if {
	is_string(name)
	count(name) <= 253
	regex.match(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`, name)
}

# METADATA
# title: Registries
# description: The registries of the review's own images, which alone a speculative evaluation may contact.
registries contains parsed.registry if {
	some entry in found
	parsed := oci.parse(entry.image)
	parsed.ok
}

# METADATA
# title: Unchanged images
# description: |
#   The images, as registry/repository@digest, that an update leaves as they are
#   (RES-7): each place that names one named it in the old object, byte for byte.
#   None where the object has a tag, or what is no reference: it might name any.
# scope: document
unchanged contains image if {
	input.request.operation == "UPDATE"
	count(malformed) == 0
	count(_by_digest) == count(found)
	some path, image in _by_digest
	not image in _moved
}

_moved contains image if {
	some entry in found
	not entry in _before
	image := _by_digest[entry.path]
}

_before := {entry | some entry in of(object.get(input.request, "oldObject", {}))}

_by_digest[entry.path] := sprintf("%s/%s@%s", [parsed.registry, parsed.repository, parsed.digest]) if {
	some entry in found
	parsed := oci.parse(entry.image)
	parsed.digest != ""
}
