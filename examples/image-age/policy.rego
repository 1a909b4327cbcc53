# No image that was built more than ninety days ago.
#
# Use it to make teams build again: base images and packages of last year are in no image
# of this one. Nothing has to be signed or attested for it, so it is a beginning.
#
# It does not protect from anybody who builds images to get past it: the time is what the
# builder wrote into the config file, and its digest is all that is verified. Reproducible
# builds write 1970, and are denied. What already runs is not asked: on UPDATE, images
# that the object had before stay.

# METADATA
# title: Images are younger than ninety days
# custom:
#   severity: low
package policies["image-age"]

import data.assay.images
import data.assay.lib.images as demands

# Ask for it in warnings first: nobody knows how old their images are.
mode := "warn" if input.request.namespace in {"kube-system", "legacy"}

deny contains sprintf("%s: %s", [entry.path, reason]) if {
	some entry in images.found
	not _known(entry)
	some reason in _reasons(entry.image)
}

_known(entry) if {
	input.request.operation == "UPDATE"
	some before in images.of(input.request.oldObject)
	before.image == entry.image
}

_reasons(image) := reasons if {
	resolved := oci.resolve(image)
	resolved.ok
	reasons := demands.any_older(oci.configs(resolved.ref), {"days": 90, "now": time.now_ns()})
} else := {"image: cannot be resolved"}
