package assay.document_test

import data.assay.document

_fact := {
	"id": "1",
	"subject": "me",
	"issuer": "https://issuer",
	"format": "legacy",
	"extensions": {
		"githubWorkflowTrigger": "push",
		"githubWorkflowSHA": "abc",
		"githubWorkflowName": "release",
		"githubWorkflowRepository": "acme/app",
		"githubWorkflowRef": "refs/tags/v1",
		"runnerEnvironment": "github-hosted",
	},
}

_shown := {
	"id": "1",
	"subject": "me",
	"issuer": "https://issuer",
	"githubWorkflowTrigger": "push",
	"githubWorkflowSha": "abc",
	"githubWorkflowName": "release",
	"githubWorkflowRepo": "acme/app",
	"githubWorkflowRef": "refs/tags/v1",
}

_attested := object.union(_fact, {"digest": "sha256:d", "statement": {"predicate": {"a": 1}}})

_passed(name, facts) := {"name": name, "outcome": "passed", "facts": facts}

_signed := _passed("signed", {"signatures": [_fact, {"id": "2", "format": "legacy"}]})

_scanned := _passed("scanned", {"attestations": [{
	"name": "scan",
	"predicateType": "vuln",
	"found": [_attested],
	"warnings": [],
}]})

_of(authorities) := document.of(set(), {}, {"image": "i"}, authorities)

# IN-1 and IN-2: signatures by their authority, and what is empty is absent.
test_signatures_are_shown_as_upstream_shows_them if {
	_of([_signed]) == {"authorityMatches": {"signed": {"signatures": [_shown, {"id": "2"}]}}}
}

# ATT-8: the type as the policy wrote it; the predicate is not among it.
test_attestations_are_shown_as_upstream_shows_them if {
	shown := object.union(_shown, {"predicateType": "vuln", "digest": "sha256:d"})
	_of([_scanned]) == {"authorityMatches": {"scanned": {"attestations": {"scan": [shown]}}}}
}

# IN-3: only authorities that passed, a static one by this alone.
test_authorities_that_failed_are_not_shown if {
	got := _of([_passed("s", {"static": true}), {"name": "f", "outcome": "failed", "error": {}}])
	got == {"authorityMatches": {"s": {"static": true}}}
}

test_of_two_authorities_of_a_name_the_later_counts if {
	got := _of([_passed("a", {"static": true}), _passed("a", {"signatures": [{"id": "2"}]})])
	got.authorityMatches.a == {"signatures": [{"id": "2"}]}
}

# Two that each verified one attestation are not one that verified both.
test_two_authorities_of_a_name_are_not_one if {
	other := {"name": "sbom", "predicateType": "spdx", "found": [_attested], "warnings": []}
	got := document.of({"assay"}, {}, _asked, [_scanned, _passed("scanned", {"attestations": [other]})])
	object.keys(got.authorityMatches.scanned.attestations) == {"sbom"}
	got.assay.authorities.scanned.attestations == [other]
}

_asked := {"image": "i", "context": {
	"spec": {"x": 1},
	"metadata": {"y": 2},
	"typemeta": {"kind": "Pod"},
	"assay": {"namespace": "prod"},
}}

test_what_is_included_is_shown_and_no_more if {
	document.of({"spec"}, {}, _asked, []) == {"authorityMatches": {}, "spec": {"x": 1}}
	got := document.of({"config", "metadata", "typemeta"}, {"linux/amd64": {}}, _asked, [])
	got == {
		"authorityMatches": {},
		"config": {"linux/amd64": {}},
		"metadata": {"y": 2},
		"typemeta": {"kind": "Pod"},
	}
}

test_a_policy_that_asks_for_it_sees_all_that_was_verified if {
	got := document.of({"assay"}, {}, _asked, [_scanned])
	got.assay.namespace == "prod"
	got.assay.authorities.scanned.attestations[0].found[0].statement.predicate.a == 1
}

test_the_statement_stays_as_it_is_unless_more_is_asked_for if {
	document.statement({"type": "cue", "text": ""}, _asked, {"predicate": 1}, _fact) == {"predicate": 1}
	got := document.statement({"type": "cue", "assay": true}, _asked, {"predicate": 1}, _fact)
	got == {"predicate": 1, "assay": {"namespace": "prod", "signer": _fact}}
}
