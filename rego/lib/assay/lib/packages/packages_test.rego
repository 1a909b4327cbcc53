package assay.lib.packages_test

import data.assay.lib.given_test as given
import data.assay.lib.packages

_bill(components) := given.statement("https://cyclonedx.org/bom", {
	"bomFormat": "CycloneDX",
	"specVersion": "1.5",
	"components": components,
})

_log4j := {
	"name": "log4j-core",
	"group": "org.apache.logging.log4j",
	"version": "2.14.1",
	"purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
	"licenses": [{"expression": "(Apache-2.0 OR GPL-2.0+) AND MIT"}],
}

_licensed := "package log4j-core 2.14.1 has the licence (Apache-2.0 OR GPL-2.0+) AND MIT"

_clean := {"name": "zlib", "purl": "pkg:apk/alpine/zlib@1"}

test_accepted[note] if {
	some note, unwanted in {
		"another name": {"names": ["log4j"]},
		"another package": {"purls": ["pkg:maven/org.apache.logging.log4j/log4j-api"]},
		"another version": {"purls": {"pkg:maven/org.apache.logging.log4j/log4j-core@2.17.1"}},
		"another licence": {"licenses": ["GPL-3.0", "Apache"]},
		"nothing of all": {"names": ["a"], "purls": ["pkg:a/b"], "licenses": {"c"}},
	}
	packages.unwanted(given.attested([_bill([_clean, _log4j])]), unwanted) == set()
}

test_refused[note] if {
	some note, case in {
		"a name": [{"names": ["log4j-core"]}, "package log4j-core 2.14.1 is unwanted"],
		"a name with its group": [
			{"names": {"org.apache.logging.log4j/log4j-core"}},
			"package log4j-core 2.14.1 is unwanted",
		],
		"a name with its group as Maven has it": [
			{"names": ["org.apache.logging.log4j:log4j-core"]},
			"package log4j-core 2.14.1 is unwanted",
		],
		"a package in any version": [
			{"purls": ["pkg:maven/org.apache.logging.log4j/log4j-core"]},
			"package pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1 is unwanted",
		],
		"a package in a version": [
			{"purls": ["pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"]},
			"package pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1 is unwanted",
		],
		"a licence": [{"licenses": ["mit"]}, _licensed],
		"a licence and later": [{"licenses": ["GPL-2.0"]}, _licensed],
		"a licence and later, as such": [{"licenses": ["GPL-2.0+"]}, _licensed],
	}
	[unwanted, want] := case

	# In the second of two bills: all are judged.
	packages.unwanted(given.attested([_bill([_clean]), _bill([_clean, _log4j])]), unwanted) == {want}
}

test_every_reason_is_told if {
	unwanted := {"names": ["log4j-core", "zlib"], "licenses": ["MIT"]}
	packages.unwanted(given.attested([_bill([_log4j, _clean])]), unwanted) == {
		"package log4j-core 2.14.1 is unwanted",
		"package zlib  is unwanted",
		_licensed,
	}
}

test_unreadable[note] if {
	some note, case in {
		"no answer": [null, "no attestation: got no answer of cosign.attestations"],
		"no attestation": [given.refused, "no attestation: nothing there (not_found)"],
		"no statement": [
			{"ok": true, "attestations": [{}]},
			"bill of materials: document: got no object, want a document (malformed)",
		],
		"no package": [given.attested([_bill([])]), "bill of materials: got no package, want a list of them"],
		"no package in one": [
			given.attested([_bill([_clean]), _bill([])]),
			"bill of materials: got no package, want a list of them",
		],
	}
	[bills, want] := case
	packages.unwanted(bills, {"names": ["a"]}) == {want}
}

_spdx(listed) := given.statement("https://spdx.dev/Document", {"spdxVersion": "SPDX-2.3", "packages": [listed]})

_purl(locator) := [{"referenceType": "purl", "referenceLocator": locator}]

# Whoever writes the bill may spell a package otherwise, or say less of it.
test_spelled_otherwise[note] if {
	some note, case in {
		"a name in another case": [{"name": "Log4J-Core"}, {"names": ["log4j-core"]}],
		"a name in the package URL": [
			{"name": "jar", "externalRefs": _purl("pkg:maven/org.apache.logging.log4j/log4j-core@1")},
			{"names": ["org.apache.logging.log4j:log4j-core"]},
		],
		"a name with its ecosystem": [{"name": "maven:org.apache.logging.log4j:log4j-core"}, {"names": ["log4j-core"]}],
		"no package URL": [{"name": "log4j-core", "versionInfo": "1"}, {"purls": ["pkg:maven/a/log4j-core@1"]}],
		"no package URL and no version": [{"name": "log4j-core"}, {"purls": ["pkg:maven/a/log4j-core@1"]}],
		"no version": [{"name": "b", "externalRefs": _purl("pkg:maven/a/b")}, {"purls": ["pkg:maven/a/b@1"]}],
		"the version beside the package URL": [
			{"name": "b", "versionInfo": "1", "externalRefs": _purl("pkg:maven/a/b")},
			{"purls": ["pkg:maven/a/b@1"]},
		],
		"another version beside it": [
			{"name": "b", "versionInfo": "1", "externalRefs": _purl("pkg:maven/a/b@2")},
			{"purls": ["pkg:maven/a/b@1"]},
		],
		"no qualifier": [{"name": "b", "externalRefs": _purl("pkg:deb/a/b@1")}, {"purls": ["pkg:deb/a/b@1?arch=x"]}],
		"no subpath": [{"name": "b", "externalRefs": _purl("pkg:golang/a/b@1")}, {"purls": ["pkg:golang/a/b@1#c"]}],
		"that subpath": [{"name": "b", "externalRefs": _purl("pkg:golang/a/b@1#c")}, {"purls": ["pkg:golang/a/b@1#c"]}],
		"another case": [{"name": "b", "externalRefs": _purl("pkg:npm/B@1")}, {"purls": ["pkg:npm/b@1"]}],
		"a licence that only": [{"name": "b", "licenseDeclared": "GPL-2.0-only"}, {"licenses": ["GPL-2.0"]}],
		"a licence before it was only": [{"name": "b", "licenseDeclared": "GPL-2.0"}, {"licenses": ["GPL-2.0-only"]}],
		"a licence or later": [{"name": "b", "licenseDeclared": "GPL-2.0+"}, {"licenses": ["GPL-2.0-or-later"]}],
		"licences with a slash": [{"name": "b", "licenseConcluded": "MIT/GPL-2.0"}, {"licenses": ["GPL-2.0"]}],
	}
	[listed, unwanted] := case
	count(packages.unwanted(given.attested([_spdx(listed)]), unwanted)) == 1
}

test_something_else[note] if {
	some note, case in {
		"another version": [{"name": "b", "externalRefs": _purl("pkg:maven/a/b@2")}, {"purls": ["pkg:maven/a/b@1"]}],
		"another version, no package URL": [{"name": "b", "versionInfo": "2"}, {"purls": ["pkg:maven/a/b@1"]}],
		"another version, beside a package URL without": [
			{"name": "b", "versionInfo": "2", "externalRefs": _purl("pkg:maven/a/b")},
			{"purls": ["pkg:maven/a/b@1"]},
		],
		"another qualifier": [
			{"name": "b", "externalRefs": _purl("pkg:deb/a/b@1?arch=y")},
			{"purls": ["pkg:deb/a/b@1?arch=x"]},
		],
		"a licence that only": [{"name": "b", "licenseDeclared": "GPL-2.0-only"}, {"licenses": ["GPL-2.0-or-later"]}],
	}
	[listed, unwanted] := case
	packages.unwanted(given.attested([_spdx(listed)]), unwanted) == set()
}

# It may be the package that is looked for.
test_package_url_that_cannot_be_read if {
	bills := given.attested([_bill([{"name": "a", "purl": "pkg:npm"}])])
	reasons := packages.unwanted(bills, {"purls": ["pkg:npm/b"]})
	count(reasons) == 1
	packages.unwanted(bills, {"names": ["b"]}) == set()
	some reason in reasons
	startswith(reason, "package URL pkg:npm: ")
}

test_demands[note] if {
	some note, case in {
		"none": [{}, "demands: got nothing that is unwanted, want names, purls or licenses"],
		"an empty list": [{"names": []}, "demands: got nothing that is unwanted, want names, purls or licenses"],
		"misspelt": [{"names": ["a"], "license": ["b"]}, "demands: got the key license, want one of licenses, names, purls"],
		"null": [{"names": null}, "demands: got a value of names that is no texts"],
		"null beside others": [{"names": ["a"], "purls": null}, "demands: got a value of purls that is no texts"],
		"a text": [{"names": "log4j-core"}, "demands: got a value of names that is no texts"],
	}
	[unwanted, want] := case
	want in packages.unwanted(given.attested([_bill([_clean])]), unwanted)
}

test_demand_of_a_package_url_that_is_none if {
	some reason in packages.unwanted(given.attested([_bill([_clean])]), {"purls": ["log4j"]})
	startswith(reason, "demands: got log4j among purls: ")
}

_undefined("nothing") := 0

# Whatever is undefined inside, there is a reason.
test_undefined_is_a_reason if {
	bills := given.attested([_bill([_clean])])
	listed := packages.unwanted(bills, {"names": ["a"]}) with sbom.packages as _undefined
	listed == {"bill of materials: got one that cannot be judged"}
	judged := packages.unwanted(bills, {"names": ["a"]}) with data.assay.lib.attested.missing as _undefined
		with data.assay.lib.attested.statements as _undefined
	judged == {"bill of materials: got none that can be judged"}
}
