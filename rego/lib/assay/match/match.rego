# METADATA
# title: Match
# description: What spec.match of a ClusterImagePolicy is compared with (MATCH-1).
package assay.match

# METADATA
# title: Resource
# description: The resource under review as spec.match names it.
resource := {
	"group": object.get(input, ["request", "kind", "group"], ""),
	"version": object.get(input, ["request", "kind", "version"], ""),
	"resource": plural(object.get(input, ["request", "kind", "kind"], "")),
	"labels": _labels,
}

default _labels := {}

_labels := labels if {
	labels := object.get(input, ["request", "object", "metadata", "labels"], {})
	is_object(labels)
}

# METADATA
# title: Namespace
# description: The namespace of the object under review, empty for one without.
# scope: document
default namespace := ""

namespace := input.request.namespace if is_string(input.request.namespace)

# METADATA
# title: Plural of a kind
# description: The guess that Kubernetes itself makes where it has no mapping.
plural(kind) := concat("", [lower(kind), "es"]) if {
	endswith(lower(kind), "s")
} else := concat("", [trim_suffix(lower(kind), "y"), "ies"]) if {
	endswith(lower(kind), "y")
} else := concat("", [lower(kind), "s"])

# METADATA
# title: Label selector
# description: |
#   Whether a Kubernetes LabelSelector selects the labels. Every requirement
#   must hold; one that is not understood holds for nothing.
selects(selector, labels) if {
	every key, value in object.get(selector, "matchLabels", {}) {
		labels[key] == value
	}
	every requirement in object.get(selector, "matchExpressions", []) {
		_holds(requirement, labels)
	}
}

_holds(requirement, labels) if {
	requirement.operator == "In"
	labels[requirement.key] in requirement.values
}

# A label that is not there is in no list. (A bare reference to it would be
# evaluated before the `not`, and undefined.)
_holds(requirement, labels) if {
	requirement.operator == "NotIn"
	count(requirement.values) > 0
	not object.get(labels, requirement.key, null) in requirement.values
}

_holds(requirement, labels) if {
	requirement.operator == "Exists"
	requirement.key in object.keys(labels)
}

_holds(requirement, labels) if {
	requirement.operator == "DoesNotExist"
	not requirement.key in object.keys(labels)
}
