# METADATA
# title: Nearest policies
# description: |
#   Which glob and which entry of spec.match made a policy match; and for an image
#   that no policy matches, which policies come near and what differs.
package assay.explain.nearest

import data.assay.admission
import data.assay.match

# METADATA
# title: Matching
# description: The glob, and the entry of spec.match where there are any, that made a policy match an image.
matching(name, policy) := array.concat(
	[{
		"what": "glob",
		"name": source.images[i].glob,
		"code": "matched",
		"outcome": "passed",
		"source": _place(source, source.images[i].line, sprintf("spec.images[%d].glob", [i])),
	} |
		i := _first_glob(source.images, name)
	],
	[{
		"what": "match",
		"name": _resource(source.match[i]),
		"code": "matched",
		"outcome": "passed",
		"source": _place(source, source.match[i].line, sprintf("spec.match[%d]", [i])),
	} |
		i := [i | some i, entry in source.match; count(_differences(entry)) == 0][0]
	],
) if {
	source := data.assay.sources[policy]
} else := []

_place(source, line, field) := {"path": source.path, "line": line, "field": field}

_first_glob(globs, name) := [i |
	some i, pattern in globs
	some form in {name, admission.other_name(name)}
	regex.match(pattern.pattern, form)
][0]

# As many as are worth reading.
_most := 3

# METADATA
# title: Nearest
# description: |
#   The policies that come nearest to an image that none matches: first those whose
#   globs match and whose spec.match does not, then those whose globs have most in
#   common with its name.
of(name) := array.slice(array.concat(_other_resources(name), _other_globs(name)), 0, _most)

_other_resources(name) := [node |
	some policy, source in data.assay.sources
	not admission.namespaced(policy) # it would cover nothing
	_first_glob(source.images, name) >= 0
	count(source.match) > 0
	i := sort([[count(_differences(entry)), i] | some i, entry in source.match])[0][1]
	node := {
		"what": "policy",
		"name": policy,
		"code": "resource_differs",
		"outcome": "unmatched",
		"differs": _differences(source.match[i]),
		"source": _place(source, source.match[i].line, sprintf("spec.match[%d]", [i])),
	}
]

_differences(entry) := _differing(entry, match.resource)

# A resource that differs weighs more than any labels, which then are not compared.
_differing(entry, resource) := [difference] if {
	not _same_resource(entry, resource)
	difference := {"what": "resource", "got": _resource(resource), "want": _resource(entry)}
} else := array.concat(
	[{"what": "label", "got": _label(key, resource.labels), "want": sprintf("%s=%s", [key, value])} |
		some key, value in entry.labels
		not match.selects({"matchLabels": {key: value}}, resource.labels)
	],
	[{"what": "label", "got": _label(requirement.key, resource.labels), "want": _requirement(requirement)} |
		some requirement in entry.expressions
		not match.selects({"matchExpressions": [requirement]}, resource.labels)
	],
)

_same_resource(entry, resource) if {
	entry.resource != ""
	entry.resource == resource.resource
	entry.group == resource.group
	entry.version in {"*", resource.version}
}

_resource(entry) := "nothing: no resource is named" if {
	entry.resource == ""
} else := concat("/", [part | some part in [entry.group, entry.version, entry.resource]; part != ""])

_label(key, labels) := sprintf("%s=%s", [key, labels[key]]) if {
	is_string(labels[key])
} else := sprintf("no label %s", [key])

_requirement(requirement) := concat(" ", [text |
	some text in [requirement.key, requirement.operator, concat(", ", requirement.values)]
	text != ""
])

# How many globs of a policy are compared: time for thousands would be missing for
# the decision.
_most_globs := 100

_other_globs(name) := [node |
	some [_, policy, i] in array.slice(sort(_ranked(name)), 0, _most)
	source := data.assay.sources[policy]
	node := {
		"what": "policy",
		"name": policy,
		"code": "glob_differs",
		"outcome": "unmatched",
		"differs": [{"what": "glob", "got": name, "want": source.images[i].glob}],
		"source": _place(source, source.images[i].line, sprintf("spec.images[%d].glob", [i])),
	}
]

# The nearest glob of each policy, the one with most in common first.
_ranked(name) := [near |
	words := split(split(name, "@")[0], "/")
	some policy, source in data.assay.sources
	not admission.namespaced(policy) # it would cover nothing
	not _first_glob(source.images, name)
	near := sort([[0 - common, policy, i] |
		some i, pattern in array.slice(source.images, 0, _most_globs)
		common := _common(split(pattern.full, "/"), words)
		common > 0
	])[0]
]

# How many words a pattern and a name have in common, from the beginning and from the
# end. One with a star goes on with any word, and counts for nothing.
_common(pattern, words) := _leading(pattern, words) + _leading(array.reverse(pattern), array.reverse(words))

_leading(pattern, words) := count([word |
	some i, word in pattern
	word == words[i]
	every j in numbers.range(0, i) {
		_like(pattern[j], words[j])
	}
])

_like(pattern, word) if pattern == word

_like(pattern, _) if contains(pattern, "*")
