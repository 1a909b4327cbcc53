package assay.lib.purls_test

import data.assay.lib.purls

test_covers[note] if {
	some note, case in {
		"itself": ["pkg:apk/alpine/a@1?arch=x#y", "pkg:apk/alpine/a@1?arch=x#y", true],
		"every version": ["pkg:apk/alpine/a", "pkg:apk/alpine/a@1?arch=x", true],
		"what has more": ["pkg:apk/alpine/a@1", "pkg:apk/alpine/a@1?arch=x#y", true],
		"spelled otherwise": ["pkg:pypi/Django_Rest", "pkg:pypi/django-rest@1", true],
		"not another version": ["pkg:apk/alpine/a@1", "pkg:apk/alpine/a@2", false],
		"not what has no version": ["pkg:apk/alpine/a@1", "pkg:apk/alpine/a", false],
		"not another qualifier": ["pkg:apk/alpine/a?arch=x", "pkg:apk/alpine/a?arch=y", false],
		"not what lacks a qualifier": ["pkg:apk/alpine/a?arch=x", "pkg:apk/alpine/a", false],
		"not another subpath": ["pkg:golang/a/b#x", "pkg:golang/a/b#y", false],
		"not another namespace": ["pkg:apk/alpine/a", "pkg:apk/wolfi/a", false],
		"not another name": ["pkg:apk/alpine/a", "pkg:apk/alpine/ab", false],
		"not another type": ["pkg:apk/alpine/a", "pkg:deb/alpine/a", false],
		"nothing that is none": ["nothing", "pkg:apk/alpine/a", false],
		"not what is none": ["pkg:apk/alpine/a", "nothing", false],
	}
	[wide, narrow, want] := case
	purls.covers(purl.parse(wide), purl.parse(narrow)) == want
}
