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
	some key in {[entry.message, entry.details] | some entry in entries}
	paths := sort({entry.path |
		some entry in entries
		[entry.message, entry.details] == key
	})
	text := _text(key, concat(", ", paths))
]

_text([message, details], paths) := sprintf("%s: %s", [message, paths]) if {
	details == ""
} else := sprintf("%s: %s\n%s", [message, paths, details])
