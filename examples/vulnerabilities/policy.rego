# No critical vulnerability that could have been fixed thirty days ago.
#
# Use it when a scanner runs on what is in the registry, every day, and its report is
# attested, as in trivy image --format cosign-vuln and cosign attest --type vuln. VEX of
# your security team, cosign attest --type openvex, takes out what does not affect an image.
# A vulnerability without a fix denies nothing, and each has thirty days.
#
# It does not protect from what already runs: an image is judged when it is put into an
# object, and not again when the object is changed otherwise. Nor from a scanner that stopped
# looking, but for seven days. Without scans nothing starts: have one before you enforce this.

# METADATA
# title: Critical vulnerabilities are fixed within thirty days
# custom:
#   severity: high
package policies.vulnerabilities

import data.assay.images
import data.assay.lib.references
import data.assay.lib.vulnerabilities

scanner := {
	"name": "scanner",
	"keyless": {"identities": [{
		"issuer": "https://token.actions.githubusercontent.com",
		"subject": "https://github.com/acme/security/.github/workflows/scan.yml@refs/heads/main",
	}]},
	"ctlog": {"url": "https://rekor.sigstore.dev"},
}

analysts := {
	"name": "analysts",
	"keyless": {"identities": [{"issuer": "https://accounts.google.com", "subject": "security@acme.example"}]},
	"ctlog": {"url": "https://rekor.sigstore.dev"},
}

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	not references.elsewhere(entry.image, ["ghcr.io/acme"])
	not _known(entry)
	some reason in _reasons(entry.image)
}

# What the object had before is not judged anew: it runs, whatever is said here.
_known(entry) if {
	input.request.operation == "UPDATE"
	some before in images.of(input.request.oldObject)
	before.image == entry.image
}

_reasons(image) := reasons if {
	resolved := oci.resolve(image)
	resolved.ok
	reports := cosign.attestations(resolved.ref, scanner, "https://cosign.sigstore.dev/attestation/vuln/v1")
	statements := cosign.attestations(resolved.ref, analysts, "https://openvex.dev/ns")
	reasons := vulnerabilities.overdue(reports, statements, {
		"severity": "critical",
		"days": 30,
		"scanned_within_days": 7,
		"products": [resolved.digest, _repository(resolved.ref)],
		"now": time.now_ns(),
	})
} else := {"vulnerabilities: the image cannot be resolved"}

# VEX is about one image by its digest, or about all of a repository.
_repository(image) := sprintf("%s/%s", [reference.registry, reference.repository]) if {
	reference := oci.parse(image)
}
