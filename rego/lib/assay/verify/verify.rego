# METADATA
# title: Verify
# description: |
#   What an authority of a ClusterImagePolicy says of an image. Compiled
#   policies call the builtins through these functions, so that a test can
#   replace them with `with`.
package assay.verify

# METADATA
# title: Signatures
# description: The outcome of an authority that wants a signature of the image.
signatures(image, authority) := _passed(authority, answer.signatures) if {
	answer := cosign.verify(image, authority)
	_verified(answer, answer.signatures)
} else := _failed(authority, answer.error, _message("signature", image, authority, answer.error)) if {
	answer := cosign.verify(image, authority)
	not answer.ok
}

# METADATA
# title: Attestations
# description: |
#   The outcome of an authority that wants attestations: one verified
#   attestation for each entry of `attestations` (ATT-3, ATT-4). The signature
#   of the image is then not asked for (ATT-1).
attestations(image, authority) := _passed(authority, signers) if {
	answers := _attestations(image, authority)
	_complete(answers, authority)
	signers := [signer | some answer in answers; some signer in answer.attestations]
} else := _failed(authority, error, _message("attestation", image, authority, error)) if {
	errors := [answer.error | some answer in _attestations(image, authority); not answer.ok]
	error := errors[0]
}

_attestations(image, authority) := [answer |
	some attestation in authority.attestations
	answer := cosign.attestations(image, authority, attestation.predicateType)
]

# Every entry was answered, and answered well: one that is missing is not satisfied.
_complete(answers, authority) if {
	count(answers) == count(authority.attestations)
	every answer in answers {
		_verified(answer, answer.attestations)
	}
}

# An answer without a signer says nothing, whatever its ok.
_verified(answer, signers) if {
	answer.ok
	count(signers) > 0
}

# METADATA
# title: Static
# description: The outcome of an authority that passes or fails whatever the image (STA-1, STA-2).
static(authority) := _passed(authority, []) if {
	authority.static.action == "pass"
} else := _failed(authority, {"code": "static_policy"}, message) if {
	message := sprintf("disallowed by static policy: %s", [object.get(authority.static, "message", "")])
}

_passed(authority, signers) := {
	"name": authority.name,
	"outcome": "passed",
	"signers": [_signer(signer) | some signer in signers],
}

_failed(authority, error, message) := {
	"name": authority.name,
	"outcome": "failed",
	"signers": [],
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
