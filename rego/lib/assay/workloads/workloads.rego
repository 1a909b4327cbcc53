# METADATA
# title: Workloads
# description: |
#   Where the images of custom kinds stand, which is what WorkloadPaths say. A
#   path is a list of parts, each the fields down to a list, of which every
#   element is meant, or to the end. What is not understood is `malformed`, and so
#   is an object in which no path leads anywhere: a path may be misspelt.
package assay.workloads

# METADATA
# title: Known
# description: Whether WorkloadPaths are about the reviewed kind, readable or not.
# scope: document
default known := false

known if count(_entries) > 0

# METADATA
# title: Understood
# description: Whether the WorkloadPaths of the reviewed kind say where its images stand.
# scope: document
default understood := false

understood if _entry

_kind[part] := object.get(input, ["request", "kind", part], "") if some part in ["group", "version", "kind"]

_entries := [entry |
	some entry in data.assay.config.workloads
	entry.group == _kind.group
	entry.kind == _kind.kind
	_of_version(entry.versions)
]

_of_version(versions) if count(versions) == 0

_of_version(versions) if _kind.version in versions

# Of two nobody can say which is meant.
_entry := entry if {
	count(_entries) == 1
	entry := _entries[0]
	entry.refused == ""
}

# METADATA
# title: Pod specs of an object
# description: Where Pod specs stand in an object of the reviewed kind, in the order of the paths.
pod_specs(obj) := [place |
	some path in _entry.pod_specs
	some at in _ends(obj, path)
	object.get(obj, at, null) != null
	place := _place(at)
]

# METADATA
# title: Images of an object
# description: The images that stand in an object of the reviewed kind outside of Pod specs.
images(obj) := [entry |
	some path in _entry.images
	some at in _ends(obj, path)
	value := object.get(obj, at, null)
	value != null
	place := _place(at)
	entry := {"path": place.dotted, "pointer": sprintf("/%s", [place.pointer]), "image": _text(value)}
]

# An image that is no string becomes the one text that no reference has.
_text(value) := value if {
	is_string(value)
} else := ""

_place(at) := {"at": at, "dotted": dotted(at), "pointer": concat("/", [sprintf("%v", [part]) | some part in at])}

# METADATA
# title: Path as people write it
# description: Fields with dots between, and indexes in brackets.
dotted(at) := trim_prefix(concat("", [_step(part) | some part in at]), ".")

_step(part) := sprintf("[%d]", [part]) if {
	is_number(part)
} else := concat("", [".", part])

# The concrete paths that a path leads to, whether anything stands there or not.
_ends(obj, path) := _levels(obj, path)[4]

# The places of the lists on the way.
_lists(obj, path) := [at |
	some i, level in _levels(obj, path)
	i < count(path) - 1
	some at in level
]

# Where the parts of a path end: Rego has no recursion, and a path four lists at most.
_levels(obj, path) := [first, second, third, fourth, fifth] if {
	first := [path[0]]
	second := _down(obj, first, path, 1)
	third := _down(obj, second, path, 2)
	fourth := _down(obj, third, path, 3)
	fifth := _down(obj, fourth, path, 4)
}

# From the lists at some places to where the next part ends in each of their elements.
_down(obj, places, path, i) := places if {
	i >= count(path)
} else := [array.concat(at, array.concat([j], path[i])) |
	some at in places
	list := object.get(obj, at, null)
	is_array(list)
	some j, _ in list
]

# METADATA
# title: Malformed parts
# description: Why the images of an object of the reviewed kind cannot be told, as `{message, path}`.
# scope: document
malformed contains {"message": message, "path": _name} if {
	count(_entries) > 1
	names := sort([entry.name | some entry in _entries])
	message := sprintf("several WorkloadPaths are about the kind: %s", [concat(", ", names)])
}

malformed contains {"message": message, "path": _name} if {
	count(_entries) == 1
	_entries[0].refused != ""
	message := sprintf("WorkloadPaths %s: %s", [_entries[0].name, _entries[0].refused])
}

malformed contains {"message": "missing field(s)", "path": path} if {
	understood
	count(pod_specs(_object)) + count(images(_object)) == 0
	count([1 | some at in _entry.elsewhere; not object.get(_object, at, null) in {null, {}, "", []}]) == 0
	path := concat(", ", [_written(path) | some path in array.concat(_entry.pod_specs, _entry.images)])
}

malformed contains {"message": "invalid value: must be a list", "path": dotted(at)} if {
	some path in _paths
	some at in _lists(_object, path)
	value := object.get(_object, at, null)
	value != null
	not is_array(value)
}

malformed contains {"message": "invalid value: must be an object", "path": dotted(at)} if {
	some path in _paths
	some place in array.concat(_lists(_object, path), _ends(_object, path))
	some i in numbers.range(1, count(place) - 1)
	is_string(place[i])
	at := array.slice(place, 0, i)
	value := object.get(_object, at, null)
	value != null
	not is_object(value)
}

malformed contains {"message": "invalid value: must be an object", "path": place.dotted} if {
	some place in pod_specs(_object)
	not is_object(object.get(_object, place.at, null))
}

_paths := array.concat(array.concat(_entry.pod_specs, _entry.images), [[at] | some at in _entry.elsewhere])

default _object := {}

_object := obj if {
	obj := object.get(input, ["request", "object"], {})
	is_object(obj)
}

_name := sprintf("%v/%v, Kind=%v", [_kind.group, _kind.version, _kind.kind])

# A path as WorkloadPaths have it.
_written(path) := trim_suffix(concat("[*].", [concat(".", part) | some part in path]), ".")
