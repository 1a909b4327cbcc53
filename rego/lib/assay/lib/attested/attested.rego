# METADATA
# title: Attested
# description: |
#   What the functions of the library have in common. They take the answer of
#   `cosign.attestations` as it is and return the set of reasons why not, empty
#   where all is well: a policy writes `deny contains reason if some reason in …`.
#   They have a value for whatever they are given. One that were undefined would
#   leave a `deny` silent.
package assay.lib.attested

# METADATA
# title: Missing
# scope: document
# description: Why there is nothing verified to read, empty where there is something.
default missing(_) := {"no attestation: got no answer of cosign.attestations"}

missing(answer) := {refused("no attestation", answer)} if {
	answer.ok == false
} else := {"no attestation: got an empty list"} if {
	answer.attestations == []
} else := set() if {
	answer.ok == true
	count(answer.attestations) > 0
}

# METADATA
# title: Refused
# description: Why an answer of a builtin has no value, as one reason that begins with what was asked for.
refused(what, answer) := sprintf("%s: %s (%s)", [what, message, code]) if {
	message := answer.error.message
	code := answer.error.code
} else := sprintf("%s: got an answer that cannot be judged", [what])

# METADATA
# title: Statements
# description: The statements of an answer, null for one that is not there.
statements(answer) := [object.get(attestation, "statement", null) | some attestation in answer.attestations]

# METADATA
# title: Demands
# scope: document
# description: |
#   What is wrong with what was asked for: a key that does not exist, one that must be
#   there and is not, a value of another kind. A demand that is misspelt must not be
#   none. `required` and `optional` say the kind of each key: texts (a list or set of
#   text), text, number, boolean.
default demands(_, _, _) := {"demands: got none, want an object"}

demands(wanted, required, optional) := (unknown | lacking) | other if {
	is_object(wanted)
	known := object.union(required, optional)
	unknown := {sprintf("demands: got the key %v, want one of %s", [key, concat(", ", sort(object.keys(known)))]) |
		some key, _ in wanted
		not known[key]
	}
	lacking := {sprintf("demands: got no %s, want it", [key]) |
		some key, _ in required
		_nothing(object.get(wanted, key, null))
	}
	other := {sprintf("demands: got a value of %s that is no %s", [key, kind]) |
		some key, kind in known
		value := wanted[key]
		not _is(kind, value)
		not _lacks(required, key, value)
	}
}

_lacks(required, key, null) if required[key]

_nothing(null)

_nothing([])

_nothing(set())

_nothing("")

_is("text", value) if is_string(value)

_is("number", value) if is_number(value)

_is("boolean", value) if is_boolean(value)

_is("texts", value) if {
	_collection(value)
	every element in value {
		is_string(element)
	}
}

_collection(value) if is_array(value)

_collection(value) if is_set(value)
