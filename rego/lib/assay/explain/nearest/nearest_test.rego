package assay.explain.nearest_test

import data.assay.explain.nearest
import data.assay.given_test as given

_name := given.image("acme/app")

_glob(text, pattern) := {"glob": text, "full": text, "pattern": pattern, "line": 10}

_entry(group, version, resource) := {
	"group": group,
	"version": version,
	"resource": resource,
	"labels": {},
	"expressions": [],
	"line": 20,
}

_source(name, images, match) := {"path": sprintf("cip/%s.rego", [name]), "images": images, "match": match}

_everything := [_glob("**", "^.*$")]

_at(name, line, field) := {"path": sprintf("cip/%s.rego", [name]), "line": line, "field": field}

_pod := given.review("CREATE", "/v1/Pod", {"metadata": {"labels": {"tier": "back", "odd": 7}}})

_of(sources) := nodes if {
	nodes := nearest.of(_name) with data.assay.sources as sources with input as _pod
}

_other_resources := {
	"another resource": {
		"match": [_entry("apps", "v1", "deployments")],
		"differs": [{"what": "resource", "got": "v1/pods", "want": "apps/v1/deployments"}],
	},
	"another version": {
		"match": [_entry("", "v2", "pods")],
		"differs": [{"what": "resource", "got": "v1/pods", "want": "v2/pods"}],
	},
	"no resource": {
		"match": [_entry("", "", "")],
		"differs": [{"what": "resource", "got": "v1/pods", "want": "nothing: no resource is named"}],
	},
	"other labels": {
		"match": [object.union(_entry("", "*", "pods"), {"labels": {"tier": "front", "app": "web", "odd": "7"}})],
		"differs": [
			{"what": "label", "got": "no label app", "want": "app=web"},
			{"what": "label", "got": "no label odd", "want": "odd=7"},
			{"what": "label", "got": "tier=back", "want": "tier=front"},
		],
	},
	"labels of an expression": {
		"match": [object.union(_entry("", "*", "pods"), {"expressions": [
			{"key": "tier", "operator": "In", "values": ["front", "middle"]},
			{"key": "tier", "operator": "Exists", "values": []},
			{"key": "app", "operator": "Exists", "values": []},
		]})],
		"differs": [
			{"what": "label", "got": "tier=back", "want": "tier In front, middle"},
			{"what": "label", "got": "no label app", "want": "app Exists"},
		],
	},
}

test_policies_for_other_resources_say_what_differs[note] if {
	some note, case in _other_resources
	_of({"p": _source("p", _everything, case.match)}) == [{
		"what": "policy",
		"name": "p",
		"code": "resource_differs",
		"outcome": "unmatched",
		"differs": case.differs,
		"source": _at("p", 20, "spec.match[0]"),
	}]
}

test_the_entry_that_differs_least_is_told if {
	two := object.union(_entry("", "*", "pods"), {"labels": {"a": "1", "b": "2"}})
	one := object.union(_entry("", "*", "pods"), {"labels": {"a": "1"}})
	[node] := _of({"p": _source("p", _everything, [two, one])})
	node.source.field == "spec.match[1]"
}

_near(policy, text, i) := {
	"what": "policy",
	"name": policy,
	"code": "glob_differs",
	"outcome": "unmatched",
	"differs": [{"what": "glob", "got": _name, "want": text}],
	"source": _at(policy, 10, sprintf("spec.images[%d].glob", [i])),
}

# A pattern that matches nothing.
_never(text) := _glob(text, `\z.`)

test_globs_with_most_in_common_come_first if {
	_of({
		"far": _source("far", [_never("other.io/**")], []),
		"host": _source("host", [_never("reg.io/other/x")], []),
		"path": _source("path", [_never("reg.io/*"), _never("reg.io/acme/*")], []),
		"typo": _source("typo", [_never("rge.io/acme/app")], []),
		"worse": _source("worse", [_never("reg.io/x")], []),
	}) == [
		_near("path", "reg.io/acme/*", 1),
		_near("typo", "rge.io/acme/app", 0),
		_near("host", "reg.io/other/x", 0),
	]
}

test_other_resources_come_before_other_globs if {
	nodes := _of({
		"glob": _source("glob", [_never("reg.io/acme/*")], []),
		"resource": _source("resource", _everything, [_entry("apps", "v1", "deployments")]),
	})
	[node.name | some node in nodes] == ["resource", "glob"]
}

test_nothing_is_near if {
	_of({}) == []
	_of({"p": _source("p", [_never("other.io/**")], [])}) == []
}

test_what_made_a_policy_match if {
	source := _source("p", [_never("x"), _glob("reg.io/**", `^reg\.io/.*$`)], [
		_entry("apps", "v1", "deployments"),
		_entry("", "v1", "pods"),
	])
	nodes := nearest.matching(_name, "p") with data.assay.sources as {"p": source} with input as _pod
	nodes == [
		{
			"what": "glob", "name": "reg.io/**", "code": "matched", "outcome": "passed",
			"source": _at("p", 10, "spec.images[1].glob"),
		},
		{
			"what": "match", "name": "v1/pods", "code": "matched", "outcome": "passed",
			"source": _at("p", 20, "spec.match[1]"),
		},
	]
}

# The registry's other name counts as well.
test_what_made_a_policy_match_by_the_other_name if {
	source := _source("p", [_glob("reg.io:443/**", `^reg\.io:443/.*$`)], [])
	nodes := nearest.matching(_name, "p") with data.assay.sources as {"p": source} with input as _pod
	[node.name | some node in nodes] == ["reg.io:443/**"]
}

test_nothing_is_known_of_a_policy_without_its_source if {
	nodes := nearest.matching(_name, "p") with data.assay.sources as {}
	nodes == []
}
