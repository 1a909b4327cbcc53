# Signed by two of three people.
#
# Use it for what nobody should be able to release alone. Each signs with cosign sign, and
# logs in as who they are; which two does not matter. A person counts once, however often
# they sign.
#
# It does not protect from two accounts of one person, nor from whoever may reset the
# passwords of all three at the issuer. Nor does it say in which order they signed, or that
# they looked.

# METADATA
# title: Two of three have signed
# custom:
#   severity: high
package policies["two-of-three"]

import data.assay.images
import data.assay.lib.references
import data.assay.lib.signers

people := {"alice@acme.example", "bob@acme.example", "carol@acme.example"}

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	not references.elsewhere(entry.image, ["ghcr.io/acme/payments"])
	some reason in _reasons(entry.image)
}

_reasons(image) := reasons if {
	resolved := oci.resolve(image)
	resolved.ok
	asked := [{"authority": authority, "answer": cosign.verify(resolved.ref, authority)} |
		some person in people
		authority := {
			"name": person,
			"keyless": {"identities": [{"issuer": "https://accounts.google.com", "subject": person}]},
			"ctlog": {"url": "https://rekor.sigstore.dev"},
		}
	]
	reasons := signers.fewer_than(2, asked)
} else := {"signers: the image cannot be resolved"}
