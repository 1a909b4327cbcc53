# Built on base images of a list.
#
# Use it when teams build on images that another team keeps patched. It reads the
# provenance that BuildKit writes, docker buildx build --provenance=mode=max, which lists
# the images that went into a build, and that the release signed: cosign attest --type
# slsaprovenance.
#
# It does not protect from a build that copies files out of another image without naming it,
# nor from a base image of the list that is old: examples/image-age and
# examples/vulnerabilities look at what came out.

# METADATA
# title: Base images are those of the platform team
# custom:
#   severity: medium
package policies["base-images"]

import data.assay.images
import data.assay.lib.provenance
import data.assay.lib.references

release := {
	"name": "release",
	"keyless": {"identities": [{
		"issuer": "https://token.actions.githubusercontent.com",
		"subjectRegExp": `^https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/.+$`,
	}]},
	"ctlog": {"url": "https://rekor.sigstore.dev"},
}

# Package URLs of images. One without a version covers every version.
allowed := {"purls": [
	"pkg:docker/registry.acme.example/base/static",
	"pkg:docker/registry.acme.example/base/jre",
	"pkg:docker/golang", # builds, and is not in what comes out
]}

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	not references.elsewhere(entry.image, ["ghcr.io/acme"])
	some reason in _reasons(entry.image)
}

_reasons(image) := reasons if {
	resolved := oci.resolve(image)
	resolved.ok
	found := cosign.attestations(resolved.ref, release, "https://slsa.dev/provenance/v0.2")
	reasons := provenance.built_on(found, allowed)
} else := {"base image: the image cannot be resolved"}
