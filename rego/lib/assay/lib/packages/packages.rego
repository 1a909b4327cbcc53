# METADATA
# title: Packages
# description: Demands on what an image consists of, as its bills of materials list it.
package assay.lib.packages

import data.assay.lib.attested

# METADATA
# title: Unwanted
# scope: document
# description: |
#   Why the bills of materials of an image are not accepted: there is none, one
#   cannot be read or lists nothing, or lists a package that is unwanted. All bills
#   are judged. `unwanted` has at least one of
#
#   - `names`: names of packages, with or without their group, in any case, as the
#     package or its package URL has them,
#   - `purls`: package URLs; one without a version is about every version,
#   - `licenses`: SPDX identifiers, wherever they stand in an expression; `GPL-2.0` is
#     about `GPL-2.0-only` and `GPL-2.0-or-later`, too.
#
#   What may be an unwanted package is one: a package that does not tell its version,
#   or has its name and no package URL. A package without a licence has no unwanted one.
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
		object.get(unwanted, key, []) in [[], set()]
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

_listed(statement, unwanted) := {attested.refused("bill of materials", bill)} if {
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
	searched := {lower(name) | some name in object.get(unwanted, "names", [])}
	count(searched) > 0
	some p in bill.value.packages
	count(searched & _names(p)) > 0
}

# All names of a package, in lower case: its own and those in its package URLs, each
# without its group as well.
_names(p) := {lower(name) |
	located := [found |
		some text in p.purls
		found := purl.parse(text).value
		found != null
	]
	some part in array.concat([{"namespace": p.group, "name": p.name}], located)
	words := regex.split(`[/:]`, part.name)
	some name in [
		part.name,
		words[count(words) - 1],
		concat("/", [part.namespace, part.name]),
		concat(":", [part.namespace, part.name]),
	]
}

# Where somebody is looked for by package URL, one that cannot be read may be it.
_located(bill, unwanted) := {reason |
	searched := [purl.parse(text).value | some text in object.get(unwanted, "purls", [])]
	count(searched) > 0
	some p in bill.value.packages
	some reason in _matches(searched, p)
}

_matches(searched, p) := {sprintf("package %s %s may be %s: got no package URL", [p.name, p.version, wide.canonical]) |
	some wide in searched
	lower(wide.name) in _names(p)
	_in_version(wide, "", p)
} if {
	p.purls == []
} else := {reason |
	some text in p.purls
	some reason in _match(searched, text, purl.parse(text), p)
}

_match(_, text, found, _) := {sprintf("package URL %s: %s", [text, found.error.message])} if {
	not found.ok
}

_match(searched, text, found, p) := {sprintf("package %s is unwanted", [text])} if {
	found.ok
	some wide in searched
	_may_be(wide, found.value, p)
}

# purls.covers says what holds for certain. Here what is not said may be anything.
_may_be(wide, found, p) if {
	_in_version(wide, found.version, p)
	_in_subpath(wide.subpath, found.subpath)
	every key in ["type", "namespace", "name"] {
		lower(wide[key]) == lower(found[key])
	}
	every key, value in wide.qualifiers {
		object.get(found.qualifiers, key, value) == value
	}
}

_in_subpath("", _)

_in_subpath(_, "")

_in_subpath(path, path)

_in_version(wide, version, p) if wide.version in {"", version, p.version}

_in_version(_, "", p) if p.version == ""

_licensed(bill, unwanted) := {sprintf("package %s %s has the licence %s", [p.name, p.version, licence.expression]) |
	searched := {lower(name) | some name in object.get(unwanted, "licenses", [])}
	some p in bill.value.packages
	some licence in p.licenses
	count(searched & _licences(lower(licence.expression))) > 0
}

# The identifiers in an expression, each in its other spellings, and the whole of it,
# which may be a name with blanks.
_licences(expression) := {name |
	some text in array.concat([expression], regex.split(`[\s(),;/|&]+`, expression))
	some name in _spellings(text)
}

_spellings(text) := {text, bare, concat("", [bare, "+"]), concat("", [bare, "-or-later"])} if {
	some suffix in ["+", "-or-later"]
	endswith(text, suffix)
	bare := trim_suffix(text, suffix)
} else := {text, trim_suffix(text, "-only"), sprintf("%s-only", [trim_suffix(text, "-only")])}
