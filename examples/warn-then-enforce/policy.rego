# A demand that only warns at first, and denies in one namespace after the other.
#
# Use it to bring signatures into a cluster that runs already. The namespaces that are only
# warned stand in data.json; take them out one by one, as their warnings stop. A namespace
# that nobody thought of is not in the list, so it denies.
#
# It does not protect the namespaces of the list: whoever may create objects in one of them
# runs what they like. A ClusterImagePolicy can warn, too (mode: warn), in all namespaces at
# once. Labels decide nothing here: who creates an object writes its labels.

# METADATA
# title: Images are signed by a release
# custom:
#   severity: high
package policies["warn-then-enforce"]

import data.assay.images
import data.rollout

mode := "warn" if input.request.namespace in rollout.warned

release := {
	"name": "release",
	"keyless": {"identities": [{
		"issuer": "https://token.actions.githubusercontent.com",
		"subjectRegExp": `^https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/.+$`,
	}]},
	"ctlog": {"url": "https://rekor.sigstore.dev"},
}

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	some reason in _reasons(entry.image)
}

default _reasons(_) := {"signatures: cannot be judged"}

_reasons(image) := {resolved.error.message} if {
	resolved := oci.resolve(image)
	not resolved.ok
} else := {verified.error.message} if {
	verified := cosign.verify(oci.resolve(image).ref, release)
	not verified.ok
} else := set() if {
	cosign.verify(oci.resolve(image).ref, release).ok
}
