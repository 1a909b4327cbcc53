package assay.admission_test

import data.assay.admission
import data.assay.given_test as given

_namespace := "team-a"

_running_in(namespace, images) := object.union(given.running(images), {"request": {"namespace": namespace}})

# Decides by policies of the cluster and those of the namespace team-a.
_owned(review, cluster, namespaced, no_match) := decision if {
	decision := admission.decision with input as review
		with data.cip as object.union(cluster, namespaced)
		with data.cip_index.candidates as object.keys(cluster)
		with data.cip_index.namespaced as {_namespace: object.keys(namespaced)}
		with data.assay.config as {"no_match": no_match}
		with oci.parse as given.parse
}

_passing := _policy("enforce", [_passed("a")])

_failing := object.union(_policy("enforce", [_failed("a", "no")]), {"policy": {"outcome": "undecided"}})

_softly := object.union(_failing, {"mode": "warn"})

# The policy of a namespace beside one of the cluster, and alone.
_tightened := {
	"it denies what others admit": {"cluster": {"p": _passing}, "own": _failing, "no_match": "deny", "allowed": false},
	"it admits not what others deny": {"cluster": {"p": _failing}, "own": _passing, "no_match": "deny", "allowed": false},
	"one that passes is no match": {"cluster": {}, "own": _passing, "no_match": "deny", "allowed": false},
	"nor where its own mode is warn": {"cluster": {}, "own": _softly, "no_match": "deny", "allowed": false},
	"it denies what no match would admit": {"cluster": {}, "own": _failing, "no_match": "allow", "allowed": false},
	"nor is it what no match warns of": {"cluster": {}, "own": _failing, "no_match": "warn", "allowed": false},
	"both that pass admit": {"cluster": {"p": _passing}, "own": _passing, "no_match": "deny", "allowed": true},
	"its mode softens itself": {"cluster": {"p": _passing}, "own": _softly, "no_match": "deny", "allowed": true},
	"its mode softens no other": {"cluster": {"p": _failing}, "own": _softly, "no_match": "deny", "allowed": false},
	"one that passes, and no match is allowed": {"cluster": {}, "own": _passing, "no_match": "allow", "allowed": true},
}

test_the_policy_of_a_namespace_tightens[note] if {
	some note, case in _tightened
	decision := _owned(_running_in(_namespace, [_app]), case.cluster, {"team-a/own": case.own}, case.no_match)
	decision.allowed == case.allowed
}

test_other_namespaces_are_not_asked[namespace] if {
	some namespace in ["team-b", "team", "team-a/own", "", 7, null]
	decision := _owned(_running_in(namespace, [_app]), {"p": _passing}, {"team-a/own": _failing}, "deny")
	decision.allowed
	count(decision.images[0].policies) == 1
}

test_what_is_covered_is_the_clusters_to_say if {
	names := admission.covering(_app) with input as _running_in(_namespace, [_app])
		with data.cip as {"p": _passing, "team-a/own": _passing}
		with data.cip_index.candidates as {"p"}
		with data.cip_index.namespaced as {_namespace: {"team-a/own"}}
		with data.assay.config as _strict
		with oci.parse as given.parse
	names == {"p"}
}
