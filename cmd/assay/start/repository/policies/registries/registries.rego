# METADATA
# title: Images come from registries that we use
# description: |
#   Every image of an object, of init containers, CronJobs and volumes too, is in a
#   registry of data.json beside this file, and names a version: the tag latest says
#   nothing about what will run.
# custom:
#   severity: medium
package policies.registries

import data.assay.images
import data.registries

deny contains {"msg": msg, "path": entry.path} if {
	some entry in images.found
	not _in_use(entry.image)
	msg := sprintf("%s: %s is in no registry that we use", [entry.path, entry.image])
}

deny contains {"msg": msg, "path": entry.path} if {
	some entry in images.found
	not _names_a_version(entry.image)
	msg := sprintf("%s: %s names no version: write a tag other than latest, or a digest", [entry.path, entry.image])
}

# Both say what is good, so that an image nobody can read is denied.
_in_use(image) if {
	reference := oci.parse(image)
	reference.ok
	reference.registry in registries.in_use
}

_names_a_version(image) if {
	reference := oci.parse(image)
	reference.ok
	not reference.tag == "latest"
}

_names_a_version(image) if oci.parse(image).digest != ""
