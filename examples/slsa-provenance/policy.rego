# Built by a builder that we trust, from a repository of ours, at a tag.
#
# Use it when images are built by slsa-github-generator or another builder that signs
# provenance itself. The signature is the builder's: whoever works in the repository can
# start a build, and can not write what the provenance says of it.
#
# It does not protect from what is in the repository at that tag, nor from what the build
# downloads. Where a workflow of your own signs the provenance, it says what that workflow
# wants: then the identity of the signer decides, and examples/github-release asks for that.

# METADATA
# title: Built by our builder from our repository
# custom:
#   severity: high
package policies["slsa-provenance"]

import data.assay.images
import data.assay.lib.provenance
import data.assay.lib.references

builder := {
	"name": "builder",
	"keyless": {"identities": [{
		"issuer": "https://token.actions.githubusercontent.com",
		"subjectRegExp": concat("", [
			`^https://github\.com/slsa-framework/slsa-github-generator/\.github/workflows/`,
			`generator_container_slsa3\.yml@refs/tags/v[0-9]+\.[0-9]+\.[0-9]+$`,
		]),
	}]},
	"ctlog": {"url": "https://rekor.sigstore.dev"},
}

wanted := {
	"builders": [concat("", [
		"https://github.com/slsa-framework/slsa-github-generator/.github/workflows/",
		"generator_container_slsa3.yml@refs/tags/v*",
	])],
	"repositories": ["https://github.com/acme/app"],
	"refs": ["refs/tags/v*"],
}

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	not references.elsewhere(entry.image, ["ghcr.io/acme"])
	some reason in _reasons(entry.image)
}

_reasons(image) := reasons if {
	resolved := oci.resolve(image)
	resolved.ok
	found := cosign.attestations(resolved.ref, builder, "https://slsa.dev/provenance/v0.2")
	reasons := provenance.built_by(found, wanted)
} else := {"provenance: the image cannot be resolved"}
