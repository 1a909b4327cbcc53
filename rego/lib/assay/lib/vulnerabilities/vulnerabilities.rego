# METADATA
# title: Vulnerabilities
# description: Demands on what scanners find in an image.
package assay.lib.vulnerabilities

import data.assay.lib.attested

# METADATA
# title: Overdue
# scope: document
# description: |
#   Why the vulnerabilities of an image are not accepted: there is no report, none
#   can be read, the newest is too old, or has a finding that is severe, can be
#   fixed, and is known for too long. `wanted` has
#
#   - `severity`: the lowest that counts, as in `critical`; a finding of unknown
#     severity counts always,
#   - `days`: how long a finding may be known; one without a date is known for ever,
#   - `now`: the time, `time.now_ns()`,
#   - `scanned_within_days`, if it matters: how old the report may be,
#   - `products`, where there is VEX: the names of the image in OpenVEX, as in
#     `pkg:oci/app@sha256:…` or `sha256:…`,
#   - `accept_suppressed`: whether what the report itself dismisses is accepted.
#
#   A finding can be fixed unless the report says that it cannot. `statements` is the answer
#   of `cosign.attestations` for OpenVEX; where there is none, nothing is taken out.
#   The newest report is judged; those that do not say when they were made are, too. One
#   that is to come is not accepted.
# custom:
#   example: |
#     deny contains reason if {
#     	reports := cosign.attestations(image, scanner, "https://cosign.sigstore.dev/attestation/vuln/v1")
#     	vex := cosign.attestations(image, vendor, "https://openvex.dev/ns")
#     	some reason in vulnerabilities.overdue(reports, vex, {
#     		"severity": "critical",
#     		"days": 30,
#     		"now": time.now_ns(),
#     		"products": [oci.parse(image).digest],
#     	})
#     }
default overdue(_, _, _) := {"vulnerabilities: got no report that can be judged"}

overdue(reports, statements, wanted) := reasons if {
	reasons := attested.missing(reports) | _wrong(wanted)
	count(reasons) > 0
} else := reasons if {
	reasons := {attested.refused("vulnerabilities", report) |
		some report in _reports(reports)
		not report.ok
	}
	count(reasons) > 0
} else := set() if {
	count(_newest(reports)) > 0
	every report in _newest(reports) {
		_judged(report, statements, wanted) == set()
	}
} else := reasons if {
	reasons := {reason |
		some report in _newest(reports)
		some reason in _judged(report, statements, wanted)
	}
	count(reasons) > 0
}

_wrong(wanted) := wrong | no_severity if {
	wrong := attested.demands(
		wanted,
		{"severity": "text", "days": "number", "now": "number"},
		{"scanned_within_days": "number", "products": "texts", "accept_suppressed": "boolean"},
	)
	no_severity := {sprintf("demands: got the severity %v, want %s", [wanted.severity, concat(" or ", _severities)]) |
		not wanted.severity in _severities
	}
}

# The least first; unknown is none of them.
_severities := ["negligible", "low", "medium", "high", "critical"]

_reports(reports) := [vuln.findings(statement) | some statement in attested.statements(reports)]

# All reports are readable here.
_newest(reports) := [report.value |
	found := _reports(reports)
	some report in found
	every other in found {
		_not_after(object.get(other.value, "finished_on", ""), object.get(report.value, "finished_on", ""))
	}
]

# A report without a time is never the older one, and none is older than it.
_not_after("", _)

_not_after(_, "")

_not_after(other, this) if {
	other != ""
	this != ""
	time.parse_rfc3339_ns(other) <= time.parse_rfc3339_ns(this)
}

default _judged(_, _, _) := {"vulnerabilities: got a report that cannot be judged"}

_judged(report, statements, wanted) := {attested.refused("vulnerabilities", left)} if {
	left := _left(report, statements, wanted)
	not left.ok
} else := _stale(report, wanted) | {_told(finding) |
	some finding in _left(report, statements, wanted).value.remaining
	not _accepted(finding, wanted)
} if {
	_left(report, statements, wanted).ok
}

_stale(report, wanted) := {sprintf("vulnerabilities: got a report of %s, which is to come", [report.finished_on])} if {
	time.parse_rfc3339_ns(report.finished_on) > wanted.now
} else := set() if {
	not wanted.scanned_within_days
} else := set() if {
	_days(object.get(report, "finished_on", ""), wanted.now) <= wanted.scanned_within_days
} else := {sprintf("vulnerabilities: got a report of %s, want one of the last %v days", [
	object.get(report, "finished_on", "no date"),
	wanted.scanned_within_days,
])}

# How many days ago; what is to come was not made yet.
_days(text, now) := (now - instant) / 86400000000000 if {
	text != ""
	instant := time.parse_rfc3339_ns(text)
	instant <= now
}

# What VEX leaves of the findings. Where there is none they are all left.
_left(report, statements, _) := {"ok": true, "value": {"remaining": report.findings}, "error": null} if {
	count(_documents(statements)) == 0
}

_left(report, statements, wanted) := answer if {
	documents := _documents(statements)
	count(documents) > 0
	answer := vex.apply(report.findings, documents, object.get(wanted, "products", []), wanted.now)
}

_documents(statements) := attested.statements(statements) if {
	statements.ok == true
} else := []

# A finding that is in none of these cases counts.
_accepted(finding, wanted) if {
	some i, severity in _severities
	severity == finding.severity
	some j, least in _severities
	least == wanted.severity
	i < j
}

_accepted(finding, _) if finding.state in {"not-fixed", "wont-fix"}

_accepted(finding, wanted) if _days(object.get(finding, "published_on", ""), wanted.now) <= wanted.days

_accepted(finding, wanted) if {
	finding.suppressed == true
	wanted.accept_suppressed == true
}

_told(finding) := sprintf("%s (%s) in %s: fixed in %s, published %s", [
	finding.id,
	finding.severity,
	trim_space(sprintf("%s %s", [finding.package.name, finding.package.version])),
	_or(concat(", ", finding.fixed_versions), "an unknown version"),
	object.get(finding, "published_on", "at an unknown time"),
])

_or(text, _) := text if text != ""

_or("", otherwise) := otherwise
