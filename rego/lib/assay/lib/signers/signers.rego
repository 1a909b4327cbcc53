# METADATA
# title: Signers
# description: Demands on how many have signed an image.
package assay.lib.signers

import data.assay.lib.attested

# METADATA
# title: Fewer than
# description: |
#   Why the signers of an image are too few: of those asked for, fewer than `wanted`
#   different ones have signed. `asked` has for each of them the `authority` and the
#   `answer` of `cosign.verify` or `cosign.attestations` to it.
#
#   Who has signed is the issuer and the subject of a certificate, or the key of the
#   authority. One who satisfies two authorities is one signer. What the others
#   answered is told where they are too few.
# custom:
#   example: |
#     deny contains reason if {
#     	asked := [{"authority": a, "answer": cosign.verify(image, a)} | some a in [alice, bob, carol]]
#     	some reason in signers.fewer_than(2, asked)
#     }
fewer_than(wanted, asked) := {sprintf("signers: got a demand of %v, want a whole number above 0", [wanted])} if {
	not _whole(wanted)
} else := set() if {
	count(_distinct(asked)) >= wanted
} else := few | refused if {
	few := {sprintf("signers: got %d different ones, want %d", [count(_distinct(asked)), wanted])}
	refused := {attested.refused("signers", question.answer) |
		some question in asked
		not question.answer.ok
	}
}

_whole(number) if {
	is_number(number)
	number >= 1
	floor(number) == number
}

_distinct(asked) := {identity |
	some question in asked
	question.answer.ok == true
	some key in ["signatures", "attestations"]
	some signer in question.answer[key]
	identity := _identity(question.authority, signer)
}

_identity(authority, signer) := {"issuer": object.get(signer, "issuer", ""), "subject": signer.subject} if {
	object.get(signer, "subject", "") != ""
} else := {"key": regex.replace(authority.key.data, `^(?s:.*?)-----BEGIN[^-]*-----|-----END(?s:.*)$|\s`, "")} if {
	authority.key.data != ""
} else := {"key": authority.key.kms}
