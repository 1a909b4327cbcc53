# METADATA
# title: Messages
# description: |
#   policy-controller's field errors: a message, the paths it is about, and
#   details on a second line. Entries with equal message and details are one.
package assay.messages

# METADATA
# title: Texts
# description: |
#   The texts of a set of `{message, details, path}`, merged and in order: by
#   message, then by details, the paths of each sorted.
texts(entries) := [text |
	some message, by_details in _grouped(entries)
	some details, paths in by_details
	text := _text(message, details, concat(", ", sort(object.keys(paths))))
]

# The paths as keys of an object, under their details, under their message. One
# union is linear; a comprehension for each group would read all entries again.
_grouped(entries) := object.union_n([{entry.message: {entry.details: {entry.path: true}}} |
	some entry in entries
])

_text(message, details, paths) := sprintf("%s: %s", [message, paths]) if {
	details == ""
} else := sprintf("%s: %s\n%s", [message, paths, details])
