# Images of registries that are approved, under names that do not change.
#
# Use it in CI and in clusters that cannot ask for signatures yet: it looks at names only,
# and asks no registry. The registries stand in data.json.
#
# It does not protect from whatever lies in these registries. A tag that looks like a
# version can still be moved: only a digest cannot. Where the mutating webhook runs before
# it, tags were replaced by digests, and the rule about names has nothing left to deny: it
# is for what people write, so ask it in CI with assay verify --resource.

# METADATA
# title: Images have approved registries and fixed names
# custom:
#   severity: medium
package policies.registries

import data.assay.images
import data.registries

deny contains sprintf("%s: %s is not of an approved registry", [entry.path, entry.image]) if {
	some entry in images.found
	not _approved(entry.image)
}

deny contains sprintf("%s: %s may change, want a digest or a version", [entry.path, entry.image]) if {
	some entry in images.found
	not _fixed(entry.image)
}

_approved(image) if {
	reference := oci.parse(image)
	reference.ok
	some place in registries.approved
	below := sprintf("%s/", [trim_suffix(place, "/")]) # or ghcr.io/acme were ghcr.io/acme-corp, too
	startswith(sprintf("%s/%s", [reference.registry, reference.repository]), below)
}

_fixed(image) if {
	reference := oci.parse(image)
	reference.ok
	reference.digest != ""
}

_fixed(image) if {
	reference := oci.parse(image)
	reference.ok
	regex.match(`^v?[0-9]+\.[0-9]+\.[0-9]+([-+_.][0-9A-Za-z.-]+)?$`, reference.tag)
}
