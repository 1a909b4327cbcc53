# METADATA
# title: Verify
# description: |
#   What an authority of a ClusterImagePolicy says of an image. Compiled
#   policies call the builtins through these functions, so that a test can
#   replace them with `with`.
package assay.verify

import data.assay.document
import data.assay.policies

# METADATA
# title: Signatures
# description: The outcome of an authority that wants a signature of the image.
signatures(image, authority) := _passed(authority, answer.signatures, {"signatures": answer.signatures}, []) if {
	answer := cosign.verify(image, authority)
	_verified(answer, answer.signatures)
} else := _failed(authority, answer.error, message, {"error": answer.error}) if {
	answer := cosign.verify(image, authority)
	not answer.ok
	message := _message("signature", image, authority, answer.error)
}

# METADATA
# title: Attestations
# description: |
#   The outcome of an authority that wants attestations: one verified attestation
#   for each entry of `attestations` (ATT-3, ATT-4), of those with a policy one
#   that satisfies it. `judges` holds the policies by index of their entry. The
#   signature of the image is then not asked for (ATT-1).
attestations(asked, authority, judges) := _passed(authority, signers, {"attestations": entries}, warnings) if {
	entries := _entries(asked, authority, judges)
	count(entries) == count(authority.attestations)
	every entry in entries {
		count(entry.found) > 0
	}
	signers := [signer | some entry in entries; some signer in entry.found]
	warnings := [warning | some entry in entries; some warning in entry.warnings]
} else := _failed(authority, unsatisfied.error, unsatisfied.message, {"entries": entries}) if {
	entries := _entries(asked, authority, judges)
	unsatisfied := [entry | some entry in entries; entry.message][0]
}

# What became of each entry: the attestations found, or the error and its message.
# An entry without an answer is not among them. Each question is about its own
# type: with the entries in it, a thousand of them would be a million.
_entries(asked, authority, judges) := [entry |
	by := object.remove(authority, ["attestations"])
	some i, wanted in authority.attestations
	answer := cosign.attestations(asked.image, by, wanted.predicateType)
	entry := _entry(asked, authority, wanted, answer, object.get(judges, i, null))
]

_entry(asked, authority, wanted, answer, _) := _lacking(wanted, answer.error, message, []) if {
	not answer.ok
	message := _message("attestation", asked.image, authority, answer.error)
}

_entry(_, _, wanted, answer, null) := _found(wanted, answer.attestations, []) if {
	_verified(answer, answer.attestations)
}

# Any attestation of the type that satisfies the policy will do, whatever the
# others say; where none does, the first one's cause is told (ATT-3).
_entry(asked, _, wanted, answer, judge) := _found(wanted, compliant, warnings) if {
	judge != null
	_verified(answer, answer.attestations)
	outcomes := _judged(asked, wanted, answer, judge)
	compliant := [outcome.fact | some outcome in outcomes; outcome.verdict.outcome == "passed"]
	count(compliant) > 0
	warnings := [warning |
		some outcome in outcomes
		outcome.verdict.outcome == "passed"
		some warning in outcome.verdict.warnings
	]
} else := _lacking(wanted, first.error, first.error.message, outcomes) if {
	judge != null
	_verified(answer, answer.attestations)
	outcomes := _judged(asked, wanted, answer, judge)
	first := outcomes[0].verdict
	first.outcome != "passed"
}

_found(wanted, found, warnings) := {
	"name": wanted.name,
	"predicateType": wanted.predicateType,
	"found": found,
	"warnings": warnings,
}

# What was judged is for explanations.
_lacking(wanted, error, message, outcomes) := {
	"name": wanted.name,
	"predicateType": wanted.predicateType,
	"error": error,
	"message": message,
	"judged": outcomes,
}

_judged(asked, wanted, answer, judge) := [{"fact": fact, "verdict": verdict} |
	some fact in answer.attestations
	verdict := _judgement(asked, wanted, fact, judge)
]

# A statement that is no document of its type satisfies no policy (ATT-5).
_judgement(_, _, fact, _) := policies.failed("malformed", fact.document_error)

_judgement(asked, wanted, fact, judge) := policies.evaluate(judge, wanted.name, doc) if {
	not fact.document_error
	doc := document.statement(judge, asked, object.get(fact, "document", fact.statement), fact)
}

# An answer without a signer says nothing, whatever its ok.
_verified(answer, signers) if {
	answer.ok
	count(signers) > 0
}

# METADATA
# title: Static
# description: The outcome of an authority that passes or fails whatever the image (STA-1, STA-2).
static(authority) := _passed(authority, [], {"static": true}, []) if {
	authority.static.action == "pass"
} else := _failed(authority, {"code": "static_policy"}, message, {"static": true}) if {
	message := sprintf("disallowed by static policy: %s", [object.get(authority.static, "message", "")])
}

# METADATA
# title: Unresolved authority
# description: |
#   The outcome of an authority that refers to something which could not be
#   read: a Secret, a key in a KMS, the text of a policy.
unresolved(name, cause) := _failed({"name": name}, {"code": "unresolved"}, message, {}) if {
	message := sprintf("authority %s: %s (unresolved)", [name, cause])
}

# `facts` is all that was verified, for the policy of the ClusterImagePolicy; or all
# that is known of a failure, for explanations. It is no part of the decision.
_passed(authority, signers, facts, warnings) := {
	"name": authority.name,
	"outcome": "passed",
	"signers": [_signer(signer) | some signer in signers],
	"facts": facts,
	"warnings": warnings,
}

_failed(authority, error, message, facts) := {
	"name": authority.name,
	"outcome": "failed",
	"signers": [],
	"facts": facts,
	"error": {"code": error.code, "message": message},
}

_signer(signer) := {key: value |
	some key in ["id", "subject", "issuer", "format", "weaker", "predicate_type"]
	value := signer[key]
}

# policy-controller's prefixes; what follows them is the text of who refused, and
# our code for it at the end.
#
# A trust root that is not there fails before anything is verified, and so
# without naming the image.
_message("signature", _, authority, error) := text if {
	_no_root(error)
	text := sprintf("constructing checkOpts for %s: getting SigstoreKeys: %s", [authority.name, error.message])
}

_message("attestation", _, _, error) := text if {
	_no_root(error)
	text := sprintf("creating CheckOpts: getting SigstoreKeys: %s", [error.message])
}

# Attestations were verified, none of the type that is wanted.
_message("attestation", _, _, error) := error.message if _other_types(error)

_message(what, image, authority, error) := text if {
	not _no_root(error)
	not _other_types(error)
	text := sprintf("%s %s validation failed for authority %s for %s: %s (%s)", [
		what, _kind(authority), authority.name, image, error.message, error.code,
	])
}

_no_root(error) if startswith(error.message, "trustRootRef ")

# A registry answers not_found as well, of other things.
_other_types(error) if {
	error.code == "not_found"
	startswith(error.message, "no matching attestations with type ")
}

_kind(authority) := "keyless" if {
	authority.keyless
} else := "key"
