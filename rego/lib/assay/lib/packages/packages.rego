# METADATA
# title: Packages
# description: Demands on what an image consists of, as its bills of materials list it.
package assay.lib.packages

import data.assay.lib.attested
import data.assay.lib.purls

# METADATA
# title: Unwanted
# scope: document
# description: |
#   Why the bills of materials of an image are not accepted: there is none, one
#   cannot be read or lists nothing, or lists a package that is unwanted. All bills
#   are judged. `unwanted` has at least one of
#
#   - `names`: names of packages, with or without their group,
#   - `purls`: package URLs; one without a version is about every version,
#   - `licenses`: SPDX identifiers, wherever they stand in an expression.
#
#   A bill of materials lists what its maker found, and the library believes it.
# custom:
#   example: |
#     deny contains reason if {
#     	bills := cosign.attestations(image, authority, "https://spdx.dev/Document")
#     	some reason in packages.unwanted(bills, {"purls": {"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}})
#     }
default unwanted(_, _) := {"bill of materials: got none that can be judged"}

unwanted(bills, unwanted) := reasons if {
	reasons := attested.missing(bills) | _wrong(unwanted)
	count(reasons) > 0
} else := set() if {
	every statement in attested.statements(bills) {
		_listed(statement, unwanted) == set()
	}
} else := reasons if {
	reasons := {reason |
		some statement in attested.statements(bills)
		some reason in _listed(statement, unwanted)
	}
	count(reasons) > 0
}

_wrong(unwanted) := {"demands: got nothing that is unwanted, want names, purls or licenses"} if {
	every key in ["names", "purls", "licenses"] {
		count(object.get(unwanted, key, [])) == 0
	}
} else := wrong | no_purls if {
	wrong := attested.demands(unwanted, {}, {"names": "texts", "purls": "texts", "licenses": "texts"})
	no_purls := {sprintf("demands: got %v among purls: %s", [text, answer.error.message]) |
		some text in object.get(unwanted, "purls", [])
		answer := purl.parse(text)
		not answer.ok
	}
}

default _listed(_, _) := {"bill of materials: got one that cannot be judged"}

_listed(statement, unwanted) := {sprintf("bill of materials: %s (%s)", [bill.error.message, bill.error.code])} if {
	bill := sbom.packages(statement)
	not bill.ok
} else := {"bill of materials: got no package, want a list of them"} if {
	bill := sbom.packages(statement)
	count(bill.value.packages) == 0
} else := (_named(bill, unwanted) | _located(bill, unwanted)) | _licensed(bill, unwanted) if {
	bill := sbom.packages(statement)
	bill.ok
}

_named(bill, unwanted) := {sprintf("package %s %s is unwanted", [p.name, p.version]) |
	some name in object.get(unwanted, "names", [])
	some p in bill.value.packages
	name in {p.name, concat("/", [p.group, p.name]), concat(":", [p.group, p.name])}
}

# Where somebody is looked for by package URL, one that cannot be read may be it.
_located(bill, unwanted) := {reason |
	count(object.get(unwanted, "purls", [])) > 0
	searched := {text: purl.parse(text) | some text in unwanted.purls}
	some p in bill.value.packages
	some text in p.purls
	found := purl.parse(text)
	some reason in _matches(searched, text, found)
}

_matches(_, text, found) := {sprintf("package URL %s: %s", [text, found.error.message])} if {
	not found.ok
}

_matches(searched, text, found) := {sprintf("package %s is unwanted", [text])} if {
	found.ok
	some wide in searched
	purls.covers(wide, found)
}

_licensed(bill, unwanted) := {sprintf("package %s %s has the licence %s", [p.name, p.version, licence.expression]) |
	searched := {lower(name) | some name in object.get(unwanted, "licenses", [])}
	some p in bill.value.packages
	some licence in p.licenses
	count(searched & _licences(lower(licence.expression))) > 0
}

# The identifiers in an expression, each as it is and without the + for later
# versions, and the whole of it, which may be a name with blanks.
_licences(expression) := {name |
	some text in array.concat([expression], regex.split(`[\s()]+`, expression))
	some name in [text, trim_suffix(text, "+")]
}
