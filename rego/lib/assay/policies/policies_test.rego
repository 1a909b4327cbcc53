package assay.policies_test

import data.assay.policies

_cue := {"type": "cue", "text": "a: 1"}

_rego := {"type": "rego", "module": "cip/p/spec/policy"}

_query := "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant'"

_failed(code, message) := {
	"outcome": "failed",
	"warnings": [],
	"error": {"code": code, "message": sprintf("%s (%s)", [message, code])},
}

_wrapped(text) := sprintf("failed evaluating rego policy for type scan: %s", [text])

mock_valid(_, _) := {"ok": true, "error": null}

mock_invalid(_, doc) := {"ok": false, "error": {"code": "not_compliant", "message": sprintf("no %v", [doc])}}

test_cue_that_agrees_passes if {
	got := policies.evaluate(_cue, "scan", {}) with cue.validate as mock_valid
	got == {"outcome": "passed", "warnings": []}
}

# CUE-2: upstream's wrapper, then what CUE said.
test_cue_that_refuses_is_told_with_its_name if {
	got := policies.evaluate(_cue, "scan", 7) with cue.validate as mock_invalid
	got == _failed("not_compliant", "failed evaluating cue policy for scan: no 7")
}

# CUE-1: what is absent passes upstream, and strictly does not.
test_cue_is_concrete_where_it_is_strict if {
	got := policies.evaluate(_cue, "scan", 7) with data.assay.config as {"policies": "strict"}
		with cue.validate as mock_valid
		with cue.validate_concrete as mock_invalid
	got.outcome == "failed"
}

# Gives the value that is the document of a test, as isCompliant.
mock_value(_, doc) := {"ok": true, "value": doc, "error": null}

# What isCompliant is, and what becomes of it as upstream reads it.
_values := {
	"REGO-2: true passes": {"value": true, "want": policies.passed([])},
	"REGO-2: false is told without a message": {"value": false, "want": _failed("not_compliant", _wrapped(_query))},
	"REGO-2: undefined is no yes": {"value": null, "want": _failed("not_compliant", _wrapped(_query))},
	"a text is no yes": {"value": "true", "want": _failed("not_compliant", _wrapped(_query))},
	"an object is no yes": {"value": {"result": true}, "want": _failed("not_compliant", _wrapped(_query))},
	"REGO-5: an empty set quotes the query in another way": {
		"value": [],
		"want": _failed(
			"not_compliant",
			_wrapped(`policy is not compliant for query "isCompliant = data.sigstore.isCompliant"`),
		),
	},
	"REGO-3: the first yes ends it": {
		"value": [{"result": false, "error": "a"}, {"result": true}, {"result": "odd"}],
		"want": policies.passed([]),
	},
	"REGO-3: a field of the wrong type before a yes fails at once": {
		"value": [{"result": "true"}, {"result": true}],
		"want": _failed("malformed", _wrapped(sprintf("%s due to parsing errors: %s", [
			_query,
			"json: cannot unmarshal string into Go struct field CosignRuleResult.result of type bool",
		]))),
	},
	"REGO-3: keys are found in any case, as Go's decoder finds them": {
		"value": [{"Result": true}],
		"want": policies.passed([]),
	},
	"REGO-3: null is as good as absent": {
		"value": [{"result": null, "error": "nothing"}],
		"want": _failed("not_compliant", _wrapped(sprintf("%s with errors: nothing", [_query]))),
	},
	"REGO-4: a yes with a warning fails": {
		"value": [{"result": true, "warning": "old"}],
		"want": _failed("not_compliant", "warning: old"),
	},
	"REGO-5: without a yes the last element's error is told": {
		"value": [{"result": false, "error": "first"}, {"error": "last"}],
		"want": _failed("not_compliant", _wrapped(sprintf("%s with errors: last", [_query]))),
	},
	"REGO-7: an element that is no object is an error, wherever it stands": {
		"value": [{"result": true}, ["odd"]],
		"want": _failed("malformed", _wrapped(sprintf("%s due to parsing errors: unexpected result type array", [_query]))),
	},
	"REGO-7: so is one that is false": {
		"value": [{"result": true}, false],
		"want": _failed("malformed", _wrapped(sprintf("%s due to parsing errors: unexpected result type boolean", [_query]))),
	},
	"REGO-3: keys that are no text are no fields": {
		"value": [{1: "x", ["result"]: true, "result": true}],
		"want": policies.passed([]),
	},
}

test_values_are_read_as_upstream_reads_them[note] if {
	some note, case in _values
	got := policies.evaluate(_rego, "scan", case.value) with sigstore.is_compliant as mock_value
	got == case.want
}

# In the strict reading every element has to agree, and a warning only warns.
_strictly := {
	"one no is a no": {
		"value": [{"result": false, "error": "a"}, {"result": true}],
		"want": _failed("not_compliant", _wrapped(sprintf("%s with errors: a", [_query]))),
	},
	"a field of the wrong type behind a yes fails": {
		"value": [{"result": true}, {"result": true, "warning": 7}],
		"want": _failed("malformed", _wrapped(sprintf("%s due to parsing errors: %s", [
			_query,
			"json: cannot unmarshal number into Go struct field CosignRuleResult.warning of type string",
		]))),
	},
	"a yes warns": {
		"value": [{"result": true, "warning": "old"}, {"result": true}],
		"want": policies.passed(["old"]),
	},
	"true passes": {"value": true, "want": policies.passed([])},
}

test_values_are_read_strictly[note] if {
	some note, case in _strictly
	got := policies.evaluate(_rego, "scan", case.value) with sigstore.is_compliant as mock_value
		with data.assay.config as {"policies": "strict"}
	got == case.want
}

mock_located(_, _) := {"ok": true, "value": false, "error": null, "at": ["isCompliant: line 3"]}

test_where_a_module_decided_is_kept_for_explanations if {
	got := policies.evaluate(_rego, "scan", {}) with sigstore.is_compliant as mock_located
	got.error.code == "not_compliant"
	got.at == ["isCompliant: line 3"]
}

mock_late(_, _) := {"ok": false, "value": null, "error": {"code": "timeout", "message": "too long"}}

# REGO-6, MSG-23: whatever went wrong stands behind upstream's wrapper.
test_rego_that_does_not_end_fails_with_the_cause if {
	got := policies.evaluate(_rego, "scan", {}) with sigstore.is_compliant as mock_late
	got == _failed("timeout", _wrapped("too long"))
}

test_policies_that_could_not_be_read_fail_with_the_cause if {
	policies.unresolved("cue", "x") == _failed(
		"unresolved",
		"failed evaluating cue policy for ClusterImagePolicy: x",
	)
	policies.unresolved("rego", "x") == _failed(
		"unresolved",
		"failed evaluating rego policy for type ClusterImagePolicy: x",
	)
}

_authorities := [{"name": "a", "outcome": "passed", "facts": {"static": true}}]

mock_configs(_) := {"ok": true, "value": {"linux/amd64": {"created": "today"}}, "error": null}

mock_no_configs(_) := {
	"ok": false,
	"value": {},
	"error": {"code": "not_found", "message": "failed to get ref x : gone"},
}

test_the_policy_of_a_cip_sees_its_document if {
	got := policies.judge(_cue, set(), {"image": "i"}, _authorities) with cue.validate as mock_invalid
	contains(got.error.message, "failed evaluating cue policy for ClusterImagePolicy: no {")
	contains(got.error.message, `{"authorityMatches": {"a": {"static": true}}}`)
}

test_the_policy_of_a_cip_sees_the_configuration_it_asks_for if {
	got := policies.judge(_cue, {"config"}, {"image": "i"}, _authorities) with cue.validate as mock_invalid
		with oci.configs as mock_configs
	contains(got.error.message, `"config": {"linux/amd64": {"created": "today"}}`)
}

# IN-4: a configuration that cannot be had fails the policy, in upstream's words.
test_a_configuration_that_cannot_be_had_fails_the_policy if {
	got := policies.judge(_cue, {"config"}, {"image": "i"}, _authorities) with cue.validate as mock_valid
		with oci.configs as mock_no_configs
	got == _failed("not_found", "failed to get ref x : gone")
}
