# METADATA
# title: Document
# description: |
#   What policies inside a ClusterImagePolicy see: policy-controller's documents
#   (IN-1 and ATT-5), and under `assay` what their users miss. That key is there
#   only for policies whose text mentions it, as a closed CUE schema admits no
#   other key than it names.
package assay.document

# METADATA
# title: Document of a ClusterImagePolicy
# description: |
#   What `spec.policy` sees: which authorities passed and what they verified,
#   and what its fields ask for besides.
of(includes, config, asked, authorities) := object.union_n([
	{"authorityMatches": _matches(authorities)},
	{"config": config | config != {}},
	object.filter(context, includes & {"spec", "metadata", "typemeta"}),
	{"assay": object.union(context.assay, {"authorities": _evidence(authorities)}) | "assay" in includes},
]) if {
	context := object.get(asked, "context", {})
}

# METADATA
# title: Document of an attestation
# description: |
#   What the policy of an attestation sees: the in-toto statement as upstream
#   shows it.
statement(policy, asked, value, fact) := object.union(value, {"assay": more}) if {
	object.get(policy, "assay", false)
	more := object.union(asked.context.assay, {"signer": fact})
} else := value

_matches(authorities) := {name: _match(facts) | some name, facts in _evidence(authorities)}

_match(facts) := {"static": true} if {
	facts.static
} else := {"attestations": object.union_n([{entry.name: found} |
	some entry in facts.attestations
	found := [_attestation(fact, entry.predicateType) | some fact in entry.found]
])} if {
	facts.attestations
} else := {"signatures": [_signature(fact) | some fact in facts.signatures]}

# ATT-8: the type is the one that the policy wrote.
_attestation(fact, type) := object.union(_signature(fact), {
	"predicateType": type,
	"digest": object.get(fact, "digest", ""),
})

# IN-2. What is empty is absent, as upstream.
_signature(fact) := {key: value |
	some key, value in object.union(
		{"id": fact.id, "subject": object.get(fact, "subject", ""), "issuer": object.get(fact, "issuer", "")},
		{name: object.get(fact, ["extensions", extension], "") | some name, extension in _extensions},
	)
	value != ""
}

_extensions := {
	"githubWorkflowTrigger": "githubWorkflowTrigger",
	"githubWorkflowSha": "githubWorkflowSHA",
	"githubWorkflowName": "githubWorkflowName",
	"githubWorkflowRepo": "githubWorkflowRepository",
	"githubWorkflowRef": "githubWorkflowRef",
}

# All that was verified, with statements and extensions, by name of the authority.
# Of two of a name the later one counts, as upstream, and alone: what both say
# together was verified for neither.
_evidence(authorities) := {authority.name: same[count(same) - 1] |
	some authority in authorities
	authority.outcome == "passed"
	same := [other.facts | some other in authorities; other.outcome == "passed"; other.name == authority.name]
}
