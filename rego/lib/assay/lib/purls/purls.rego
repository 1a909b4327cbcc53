# METADATA
# title: Package URLs
# description: Package URLs as the library compares them.
package assay.lib.purls

# METADATA
# title: Covers
# scope: document
# description: |
#   Whether what one package URL says holds for another: the package is the same,
#   and so are the version, the qualifiers and the subpath that the first has. One
#   without a version covers every version. The arguments are answers of
#   `purl.parse`.
default covers(_, _) := false

covers(wide, narrow) if {
	wide.ok
	narrow.ok
	every key in ["type", "namespace", "name"] {
		wide.value[key] == narrow.value[key]
	}
	every key in ["version", "subpath"] {
		wide.value[key] in {"", narrow.value[key]}
	}
	every key, value in wide.value.qualifiers {
		narrow.value.qualifiers[key] == value
	}
}
