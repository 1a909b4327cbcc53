# METADATA
# title: Evidence
# description: |
#   What authorities said and why: where evidence was looked for, which pieces were
#   refused and by how much they missed, and which rule of a policy inside said no.
package assay.explain.evidence

# METADATA
# title: Authorities
# description: A node for each authority of a policy, in order. One that passed is one line.
authorities(policy, outcomes) := [object.union(
	{
		"what": "authority",
		"name": authority.name,
		"outcome": authority.outcome,
		"source": _source(policy, i, authority.name),
	},
	_authority(authority),
) |
	some i, authority in outcomes
]

_authority(authority) := {"code": "passed"} if {
	authority.outcome == "passed"
} else := object.union({"code": authority.error.code}, _refusal("signature", authority.facts.error)) if {
	authority.facts.error
} else := {"code": authority.error.code, "because": [_entry(entry) | some entry in authority.facts.entries]} if {
	authority.facts.entries
} else := {"code": authority.error.code, "text": authority.error.message}

# Where the rule of an authority stands. One without an answer is not among the
# outcomes, so the name counts before the index.
_source(policy, i, name) := {"path": source.path, "line": found.line, "field": found.field} if {
	source := data.assay.sources[policy]
	named := [known | some known in source.authorities; known.name == name]
	found := array.concat([known | known := source.authorities[i]; known.name == name], named)[0]
} else := {}

# An entry of spec.authorities[].attestations.
_entry(entry) := {
	"what": "attestation",
	"name": entry.name,
	"code": "passed",
	"outcome": "passed",
} if {
	not entry.error
} else := {
	"what": "attestation",
	"name": entry.name,
	"code": entry.error.code,
	"outcome": "failed",
	"text": sprintf("%d verified of type %s, none complies", [count(entry.judged), entry.predicateType]),
	"because": [_statement(judged) | some judged in array.slice(entry.judged, 0, _most)],
} if {
	count(entry.judged) > 0
} else := object.union(
	{
		"what": "attestation",
		"name": entry.name,
		"code": entry.error.code,
		"outcome": "failed",
	},
	_refusal("attestation", entry.error),
)

# As many statements as misses, which the builtins bound.
_most := 10

_statement(judged) := object.union(_inside(judged.verdict), {
	"what": "statement",
	"name": object.get(judged.fact, "digest", judged.fact.id),
})

# What a builtin says of evidence. Its message repeats what stands in looked and in
# the misses, so of that only the beginning is told.
_refusal(what, error) := object.union(
	{
		"text": _beginning(error),
		"looked": object.get(error, "looked", []),
		"because": [_miss(what, miss) | some miss in object.get(error, "misses", [])],
	},
	{"hint": error.hint | error.hint},
)

_beginning(error) := split(split(_before_places(error), ", checked ")[0], ": ")[0] if {
	count(object.get(error, "misses", [])) > 0
} else := _before_places(error)

_before_places(error) := split(error.message, "; looked at ")[0]

_miss(what, miss) := {
	"what": what,
	"name": miss.digest,
	"code": miss.code,
	"outcome": "failed",
	"text": concat(", ", [text | some text in [miss.format, miss.at]; text != ""]),
	"hint": miss.message,
	"differs": miss.differs,
}

# METADATA
# title: Policy inside
# description: Why spec.policy is not satisfied, by the outcome of the policy.
inside(policy, outcome) := object.union(_inside(outcome), {
	"what": "inside",
	"name": "spec.policy",
	"source": _policy_source(policy),
})

_policy_source(policy) := {"path": source.path, "line": source.policy, "field": "spec.policy"} if {
	source := data.assay.sources[policy]
} else := {"field": "spec.policy"}

_inside(outcome) := {"code": "passed", "outcome": "passed"} if {
	outcome.outcome == "passed"
} else := {
	"code": outcome.error.code,
	"outcome": "failed",
	"text": _short(outcome.error),
	"because": array.concat(_rules(outcome), _conflict(outcome.error)),
}

# What policy-controller's words say before the policy's own is known here.
_short(error) := trim_suffix(said[0], sprintf(" (%s)", [error.code])) if {
	said := [substring(error.message, i + count(words), -1) |
		some words in ["failed to evaluate the policy with error: ", " with errors: "]
		i := indexof(error.message, words)
		i >= 0
	]
	count(said) > 0
} else := error.message

# The lines of Rego that said no, as "RULE:LINE: …".
_rules(outcome) := [node |
	some place in object.get(outcome, "at", [])
	parts := split(place, ":")
	node := {
		"what": "rule",
		"name": parts[0],
		"code": "not_compliant",
		"outcome": "failed",
		"text": trim_prefix(substring(place, (count(parts[0]) + count(parts[1])) + 2, -1), " "),
		"source": {"line": to_number(parts[1])},
	}
]

# CUE says at which path values conflict, before it says which.
_conflict(error) := [{
	"what": "rule",
	"name": path,
	"code": "not_compliant",
	"outcome": "failed",
	"text": substring(_short(error), count(path) + 2, -1),
}] if {
	error.code == "not_compliant"
	contains(error.message, "failed evaluating cue policy for ")
	path := split(_short(error), ": ")[0]
	not contains(path, " ")
} else := []
