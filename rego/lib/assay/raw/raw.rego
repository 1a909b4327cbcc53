# METADATA
# title: Raw
# description: |
#   What policies in plain Rego say of a review: each is asked about all of it,
#   whatever the operation and the kind. A policy is satisfied because it
#   answered and denies nothing, never because nothing was heard of it.
package assay.raw

# METADATA
# title: Asked policies
# description: The names of the policies in plain Rego of the policy set.
# scope: document
asked contains name if some name, _ in data.assay.raw_policies

# METADATA
# title: Failed policies
# description: Those that deny, or have no answer, and do not only warn.
failed contains name if {
	some name in (asked - _satisfied)
	_mode(name) == "enforce"
}

_satisfied contains name if {
	some name in asked
	_answers[name].ok
	count(_denials[name]) == 0
}

# Each is evaluated here, once. A rule for each name would be evaluated for the name,
# and again for all of them.
# regal ignore:prefer-set-or-object-rule
_answers := {name: assay.policy(name, input) | some name in asked}

# METADATA
# title: Places
# description: |
#   Which rules of each policy denied, as RULE:LINE:FILE, where an explanation is
#   asked for.
# scope: document
places[name] := answer.at if some name, answer in _answers

_denials[name] := _messages(answer.deny) if some name, answer in _answers

_cautions[name] := _messages(answer.warn) if some name, answer in _answers

# Only an explicit warn softens a policy. One that has no answer has not said it; its
# text may have.
_mode(name) := "warn" if {
	_answers[name].ok
	_answers[name].mode == "warn"
} else := "warn" if {
	not _answers[name].ok
	data.assay.raw_policies[name].mode == "warn"
} else := "enforce"

# METADATA
# title: Reasons
# description: The texts of what the failed policies deny, in order.
reasons := [text | some name in sort(failed); some text in _failures(name)]

# METADATA
# title: Warnings
# description: The texts of policies that only warn, and of what policies warn of, in order.
warnings := array.concat(
	[text |
		some name in sort((asked - _satisfied) - failed)
		some text in _failures(name)
	],
	[sprintf("policy %s: %s", [name, entry.message]) |
		some name in sort(asked)
		some entry in object.get(_cautions, name, [])
	],
)

_failures(name) := array.concat(denials, errors) if {
	denials := [sprintf("failed policy: %s: %s", [name, entry.message]) |
		some entry in object.get(_denials, name, [])
	]
	errors := [sprintf("failed policy: %s: %s", [name, error.message]) | error := _errors[name]]
}

# A policy of which nothing is known at all has failed as well.
_errors[name] := {"code": code, "message": sprintf("%s (%s)", [message, code])} if {
	some name in asked
	not _answers[name].ok
	code := object.get(_answers, [name, "error", "code"], "malformed")
	message := object.get(_answers, [name, "error", "message"], "no answer")
}

# METADATA
# title: Report
# description: One entry for each policy, by name; nothing where there are none.
# scope: document
default report := {}

report := {"rego": [_entries[name] | some name in sort(asked)]} if count(asked) > 0

_entries[name] := object.union_n([
	object.filter(about, ["title", "description", "severity", "docs", "owner"]),
	{"name": name, "mode": _mode(name), "outcome": _outcome(name)},
	{"denials": denials | denials := object.get(_denials, name, []); count(denials) > 0},
	{"warnings": cautions | cautions := object.get(_cautions, name, []); count(cautions) > 0},
	{"error": error | error := _errors[name]},
]) if {
	some name, about in data.assay.raw_policies
}

_outcome(name) := "passed" if {
	name in _satisfied
} else := "failed"

# What a rule says: strings, or objects with a msg, in a set, a list or alone. Whatever
# else it says is said as JSON; only false and an empty list say nothing.
_messages(false) := []

_messages(value) := [_message(value)] if {
	value != false
	not is_array(value)
	not is_object(value)
}

_messages(value) := [_message(element) | some element in value] if is_array(value)

_messages(value) := [_message(value)] if {
	is_object(value)
	"msg" in object.keys(value)
}

# The keys of an object are messages where its values are true, as of deny[msg] := true.
_messages(value) := [_keyed(key, member) | some key, member in value] if {
	is_object(value)
	not "msg" in object.keys(value)
}

_keyed(key, true) := _message(key)

_keyed(key, member) := {"message": json.marshal({key: member})} if member != true

_message(value) := {"message": value} if {
	is_string(value)
} else := object.union(
	{"message": value.msg},
	{"details": details | details := object.remove(value, ["msg"]); details != {}},
) if {
	is_string(value.msg)
} else := {"message": json.marshal(value)}
