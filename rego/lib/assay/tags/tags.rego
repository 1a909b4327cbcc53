# METADATA
# title: Tags
# description: |
#   Where a tag becomes a digest, which is what data.assay.config.tags says, and
#   so what becomes of a tag that still stands in an object when it is judged.
#   Whatever is set but `pin`, `pods` and `resolve` means `deny`: nowhere.
package assay.tags

import data.assay.images

# METADATA
# title: Pinned
# description: |
#   Whether the mutating webhook writes digests beside the tags of the object,
#   before it is judged: of every kind, or of Pods alone, so that templates stay
#   as they were written.
# scope: document
default pinned := false

pinned if data.assay.config.tags == "pin"

pinned if {
	data.assay.config.tags == "pods"
	images.pod
}

# METADATA
# title: Judged
# description: |
#   Whether a tag is judged by the digest that it names now. What is not is
#   denied, whatever any policy says: nobody could tell what it runs later. A
#   template runs nothing: its Pods come to be pinned, and judged, themselves.
# scope: document
default judged := false

judged if patched

judged if {
	data.assay.config.tags == "pods"
	images.template
}

# METADATA
# title: Patched
# description: |
#   Whether the decision itself writes the digests that it judged into the
#   object, where no webhook comes before it.
# scope: document
default patched := false

patched if data.assay.config.tags == "resolve"
