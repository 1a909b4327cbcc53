package assay.match_test

import data.assay.given_test as given
import data.assay.match

test_resource if {
	got := match.resource with input as given.review("CREATE", "apps/v1/Deployment", {"metadata": {"labels": {"a": "b"}}})
	got == {"group": "apps", "version": "v1", "resource": "deployments", "labels": {"a": "b"}}
}

test_labels_are_those_of_the_object_itself[note] if {
	some note, obj in {
		"no object": null,
		"no metadata": {},
		"metadata a text": {"metadata": "labels"},
		"no labels": {"metadata": {}},
		"labels null": {"metadata": {"labels": null}},
		"labels of the template": {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}},
	}
	got := match.resource.labels with input as given.review("CREATE", "apps/v1/Deployment", obj)
	got == {}
}

test_plural[kind] if {
	some kind, want in {
		"Pod": "pods",
		"Deployment": "deployments",
		"ReplicationController": "replicationcontrollers",
		"CronJob": "cronjobs",
		"NetworkPolicy": "networkpolicies",
		"Ingress": "ingresses",
		"DNS": "dnses",
		"": "s",
	}
	match.plural(kind) == want
}

_labels := {"app": "web", "tier": "front"}

_requirement(key, operator, values) := {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}

_selecting := {
	"the empty selector": {},
	"a label": {"matchLabels": {"app": "web"}},
	"two labels": {"matchLabels": {"app": "web", "tier": "front"}},
	"In": _requirement("app", "In", ["api", "web"]),
	"NotIn another value": _requirement("app", "NotIn", ["api"]),
	"NotIn without the label": _requirement("other", "NotIn", ["api"]),
	"Exists": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
	"DoesNotExist": {"matchExpressions": [{"key": "other", "operator": "DoesNotExist"}]},
	"labels and expressions": {
		"matchLabels": {"app": "web"},
		"matchExpressions": [{"key": "tier", "operator": "Exists"}, {"key": "other", "operator": "DoesNotExist"}],
	},
}

test_selects[note] if {
	some note, selector in _selecting
	match.selects(selector, _labels)
}

_not_selecting := {
	"another value": {"matchLabels": {"app": "api"}},
	"a label that is not there": {"matchLabels": {"other": "web"}},
	"one label of two": {"matchLabels": {"app": "web", "tier": "back"}},
	"In other values": _requirement("app", "In", ["api"]),
	"In without the label": _requirement("other", "In", ["web"]),
	"NotIn its value": _requirement("app", "NotIn", ["web"]),
	"NotIn nothing": _requirement("app", "NotIn", []),
	"Exists without the label": {"matchExpressions": [{"key": "other", "operator": "Exists"}]},
	"DoesNotExist with the label": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]},
	"an operator that nobody knows": _requirement("app", "in", ["web"]),
	"a requirement without operator": {"matchExpressions": [{"key": "app"}]},
	"one expression of two": {"matchExpressions": [
		{"key": "app", "operator": "Exists"},
		{"key": "other", "operator": "Exists"},
	]},
	"labels hold, expressions do not": {
		"matchLabels": {"app": "web"},
		"matchExpressions": [{"key": "other", "operator": "Exists"}],
	},
}

test_does_not_select[note] if {
	some note, selector in _not_selecting
	not match.selects(selector, _labels)
}

test_a_namespace_is_a_text_or_none[note] if {
	some note, case in {
		"a namespace": {"request": {"namespace": "team-a"}, "want": "team-a"},
		"none": {"request": {}, "want": ""},
		"null": {"request": {"namespace": null}, "want": ""},
		"no text": {"request": {"namespace": ["team-a"]}, "want": ""},
	}
	got := match.namespace with input as {"request": case.request}
	got == case.want
}
