# No log4j-core with a known hole, and no GPL or AGPL of any version, in any image.
#
# Use it when images come with a bill of materials that somebody signed, as made by
# cosign attest --type spdxjson in the release. It finds what an incident asks for first:
# who ships this package, and stops more of it.
#
# It does not protect from what the bill of materials leaves out: a jar within a jar, a
# statically linked library, a file that was copied in. Nor from who writes false bills of
# materials: who signs is believed. A licence that nobody named, or not by its SPDX
# identifier, is not found.

# METADATA
# title: Nothing unwanted is inside
# custom:
#   severity: high
package policies.sbom

import data.assay.images
import data.assay.lib.packages
import data.assay.lib.references

release := {
	"name": "release",
	"keyless": {"identities": [{
		"issuer": "https://token.actions.githubusercontent.com",
		"subjectRegExp": `^https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/.+$`,
	}]},
	"ctlog": {"url": "https://rekor.sigstore.dev"},
}

# GPL-2.0 is GPL-2.0-only and GPL-2.0-or-later as well.
unwanted := {"licenses": {"GPL-1.0", "GPL-2.0", "GPL-3.0", "AGPL-1.0", "AGPL-3.0"}}

# The first version without CVE-2021-44228 and those that followed.
log4j_fixed := "2.17.1"

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	not references.elsewhere(entry.image, ["ghcr.io/acme"])
	some reason in _reasons(entry.image)
}

_reasons(image) := reasons if {
	resolved := oci.resolve(image)
	resolved.ok
	bills := cosign.attestations(resolved.ref, release, "https://spdx.dev/Document")
	reasons := packages.unwanted(bills, unwanted) | _log4j(bills)
} else := {"bill of materials: the image cannot be resolved"}

# What the library has no demand for is said with the builtins. Bills that cannot be read
# are refused above.
_log4j(bills) := {sprintf("log4j-core %s is unwanted, want %s or later", [found.version, log4j_fixed]) |
	some attestation in bills.attestations
	some found in sbom.packages(attestation.statement).value.packages
	_is_log4j(found)
	not _fixed(found.version)
}

_is_log4j(found) if regex.match(`(^|[:/])log4j-core$`, lower(found.name))

_is_log4j(found) if {
	some text in found.purls
	lower(purl.parse(text).value.name) == "log4j-core"
}

_fixed(version) if {
	semver.is_valid(version)
	semver.compare(version, log4j_fixed) >= 0
}
