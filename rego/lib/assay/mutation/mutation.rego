# METADATA
# title: Mutation
# description: |
#   Pins tags to digests, in what data.assay.tags says. It never denies: an image
#   that could not be resolved stays as it is, is denied when it is validated, and
#   the warning says why.
package assay.mutation

import data.assay.admission
import data.assay.images
import data.assay.tags

# METADATA
# title: Decision
# description: The patch for a review, and why some tags are not in it.
decision := {
	"allowed": true,
	"images": [],
	"reasons": [],
	"warnings": [text |
		some entry in _tags
		text := _warning(entry)
	],
	"patch": [operation |
		some entry in _tags
		operation := _operation(entry)
	],
}

# MUT-1 and MUT-3: creations and updates, and only what is a tag.
_tags := [entry |
	tags.pinned
	input.request.operation in {"CREATE", "UPDATE"}
	not admission.exempt
	some entry in images.found
	parsed := oci.parse(entry.image)
	parsed.ok
	parsed.digest == ""
]

_operation(entry) := {"op": "replace", "path": entry.pointer, "value": value} if {
	answer := oci.resolve(entry.image)
	answer.ok
	value := sprintf("%s@%s", [oci.parse(entry.image).name, answer.digest])
}

_warning(entry) := sprintf("%s: %s stays a tag: %s: %s", [
	entry.path, entry.image, answer.error.code, answer.error.message,
]) if {
	answer := oci.resolve(entry.image)
	not answer.ok
}
