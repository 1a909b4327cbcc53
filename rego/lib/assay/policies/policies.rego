# METADATA
# title: Policies
# description: |
#   What the CUE and Rego inside a ClusterImagePolicy say of a document.
#   Whatever is not a clear yes is a failure that names its cause.
package assay.policies

import data.assay.document

# METADATA
# title: Policy of a ClusterImagePolicy
# description: |
#   The outcome of `spec.policy`, which sees what the authorities that passed
#   verified. It is not asked before one of them has passed.
judge(policy, includes, asked, authorities) := evaluate(policy, "ClusterImagePolicy", doc) if {
	config := _config(includes, asked)
	doc := document.of(includes, config, asked, authorities)
} else := failed(answer.error.code, answer.error.message) if {
	"config" in includes
	answer := oci.configs(asked.image)
	not answer.ok
}

_config(includes, _) := {} if {
	not "config" in includes
}

_config(includes, asked) := answer.value if {
	"config" in includes
	answer := oci.configs(asked.image)
	answer.ok
}

# METADATA
# title: No policy
# description: What a ClusterImagePolicy without `spec.policy` says.
none := {"outcome": "passed"}

# METADATA
# title: Evaluate
# description: |
#   The outcome of one policy over one document. `name` is the attestation's, or
#   ClusterImagePolicy.
# scope: document
evaluate(policy, _, doc) := passed([]) if {
	policy.type == "cue"
	_cue(policy.text, doc).ok
}

evaluate(policy, name, doc) := failed(answer.error.code, message) if {
	policy.type == "cue"
	answer := _cue(policy.text, doc)
	not answer.ok
	message := sprintf("failed evaluating cue policy for %s: %s", [name, answer.error.message])
}

evaluate(policy, name, doc) := _compliance(answer, name) if {
	policy.type == "rego"
	answer := sigstore.is_compliant(policy.module, doc)
}

# Asked once: what the module says may take it its whole time.
_compliance(answer, name) := failed(answer.error.code, _rego_message(name, answer.error.message)) if not answer.ok

_compliance(answer, name) := _located(_verdict(answer.value, name), object.get(answer, "at", [])) if answer.ok

# Where in the module it was decided is for explanations, which alone ask for it.
_located(outcome, at) := outcome if {
	count(at) == 0
} else := object.union(outcome, {"at": at})

# METADATA
# title: Unresolved policy
# description: The outcome of a policy that could not be read or does not compile.
unresolved(type, cause) := failed("unresolved", message) if {
	message := sprintf("failed evaluating %s policy for %sClusterImagePolicy: %s", [type, _type_word(type), cause])
}

_type_word(type) := "type " if {
	type == "rego"
} else := ""

# METADATA
# title: Passed
# description: A policy that is satisfied, with what it warns of.
passed(warnings) := {"outcome": "passed", "warnings": warnings}

# METADATA
# title: Failed
# description: A policy that is not satisfied, and why.
failed(code, message) := {
	"outcome": "failed",
	"warnings": [],
	"error": {"code": code, "message": sprintf("%s (%s)", [message, code])},
}

# CUE passes over fields that are absent (CUE-1); strictly they have to be there.
_cue(text, doc) := cue.validate_concrete(text, doc) if {
	_strict
} else := cue.validate(text, doc)

_strict if data.assay.config.policies == "strict"

_query := "isCompliant = data.sigstore.isCompliant"

_rego_message(name, text) := sprintf("failed evaluating rego policy for type %s: %s", [name, text])

_not_compliant(name, text) := failed("not_compliant", _rego_message(name, text))

# The value of isCompliant is a boolean or a set of {result, error, warning}; sets
# arrive as arrays in OPA's order. Everything else is no yes (REGO-2).
_verdict(true, _) := passed([])

_verdict(value, name) := _not_compliant(name, sprintf("policy is not compliant for query '%s'", [_query])) if {
	value != true
	not is_array(value)
}

# Upstream quotes the query in another way here (REGO-5).
_verdict(value, name) := _not_compliant(name, sprintf("policy is not compliant for query %q", [_query])) if {
	value == []
}

_verdict(value, name) := _chosen(value, name) if {
	is_array(value)
	count(value) > 0
	count(_foreign(value)) == 0
}

# Unlike upstream, which ends there with a panic (REGO-7).
_verdict(value, name) := _unreadable(name, sprintf("unexpected result type %s", [_foreign(value)[0]])) if {
	is_array(value)
}

# By type and not by value: false would not count as one.
_foreign(value) := [type_name(element) | some element in value; not is_object(element)]

_unreadable(name, text) := failed("malformed", _rego_message(
	name,
	sprintf("policy is not compliant for query '%s' due to parsing errors: %s", [_query, text]),
))

# REGO-3: the first element that settles it does, by the result true or by a field
# of the wrong type; strictly no element may object.
_chosen(elements, name) := outcome if {
	not _strict
	outcome := [settled | some element in elements; settled := _settled(element, name)][0]
} else := _not_compliant(name, message) if {
	not _strict
	message := _message(elements[count(elements) - 1])
} else := outcome if {
	outcome := [problem | some element in elements; problem := _problem(element, name)][0]
} else := passed([warning |
	some element in elements
	warning := _field(element, "warning", "")
	warning != ""
])

_settled(element, name) := _problem(element, name) if {
	_mistyped(element)
} else := _warned(warning) if {
	_field(element, "result", false) == true
	warning := _field(element, "warning", "")
}

_problem(element, name) := _unreadable(name, sprintf("json: cannot unmarshal %s into Go struct field %s of type %s", [
	type_name(_field(element, field, null)), concat(".", ["CosignRuleResult", field]), type,
])) if {
	field := _mistyped(element)
	type := _types[field]
} else := _not_compliant(name, _message(element)) if {
	_field(element, "result", false) != true
}

# REGO-4: a warning makes the policy fail; a policy in mode warn then warns.
_warned(warning) := passed([]) if {
	warning == ""
} else := failed("not_compliant", sprintf("warning: %s", [warning]))

_message(element) := sprintf("policy is not compliant for query '%s' with errors: %s", [
	_query,
	_field(element, "error", ""),
])

_types := {"error": "string", "result": "bool", "warning": "string"}

_names := {"string": "string", "bool": "boolean"}

# The first field of an element that has another type than it should.
_mistyped(element) := [field |
	some field, type in _types
	value := _field(element, field, null)
	value != null
	type_name(value) != _names[type]
][0]

# Fields are found as encoding/json finds them: whatever the case of their letters,
# the last of several counts, and null is as good as absent.
_field(element, name, otherwise) := value if {
	# Keys of Rego may be anything; an error of lower would be everybody's.
	keys := sort([key | some key, held in element; is_string(key); lower(key) == name; held != null])
	count(keys) > 0
	value := element[keys[count(keys) - 1]]
} else := otherwise
