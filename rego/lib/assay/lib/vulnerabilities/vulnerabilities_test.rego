package assay.lib.vulnerabilities_test

import data.assay.lib.given_test as given
import data.assay.lib.vulnerabilities

_now := time.parse_rfc3339_ns("2025-06-30T00:00:00Z")

_wanted := {"severity": "critical", "days": 30, "now": _now}

_digest := "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

# A report of a time, with one finding, which differs from a bad one.
_report(created, finding) := given.statement("https://cosign.sigstore.dev/attestation/vuln/v1", {
	"scanner": {"result": {"SchemaVersion": 2, "Results": [{"Vulnerabilities": [object.union(_bad, finding)]}]}},
	"metadata": {"scanFinishedOn": created},
})

_bad := {
	"VulnerabilityID": "CVE-2025-1",
	"PkgName": "openssl",
	"InstalledVersion": "3.0.1",
	"FixedVersion": "3.0.2",
	"Status": "fixed",
	"Severity": "CRITICAL",
	"PublishedDate": "2025-01-01T00:00:00Z",
}

_clean(created) := given.statement("https://cosign.sigstore.dev/attestation/vuln/v1", {
	"scanner": {"result": {"SchemaVersion": 2, "Results": [{"Class": "os-pkgs"}]}},
	"metadata": {"scanFinishedOn": created},
})

_reason := "CVE-2025-1 (critical) in openssl 3.0.1: fixed in 3.0.2, published 2025-01-01T00:00:00Z"

_day := "2025-06-29T00:00:00Z"

test_accepted[note] if {
	some note, case in {
		"no finding": [_clean(_day), {}],
		"one that is not severe": [_report(_day, {"Severity": "HIGH"}), {}],
		"one that has no fix": [_report(_day, {"Status": "affected", "FixedVersion": ""}), {}],
		"one that gets no fix": [_report(_day, {"Status": "will_not_fix", "FixedVersion": ""}), {}],
		"one that is new": [_report(_day, {"PublishedDate": "2025-06-01T00:00:00Z"}), {}],
		"a report that is new enough": [_clean("2025-06-24T00:00:00Z"), {"scanned_within_days": 7}],
	}
	[statement, more] := case
	vulnerabilities.overdue(given.attested([statement]), null, object.union(_wanted, more)) == set()
}

test_refused[note] if {
	some note, case in {
		"one that is overdue": [_report(_day, {}), {}, _reason],
		"one that is worse than what counts": [_report(_day, {}), {"severity": "low"}, _reason],
		"one of unknown severity": [
			_report(_day, {"Severity": "UNKNOWN"}), {},
			"CVE-2025-1 (unknown) in openssl 3.0.1: fixed in 3.0.2, published 2025-01-01T00:00:00Z",
		],
		"one of which nobody says whether it can be fixed": [
			_report(_day, {"Status": "under_investigation", "FixedVersion": ""}), {},
			"CVE-2025-1 (critical) in openssl 3.0.1: fixed in an unknown version, published 2025-01-01T00:00:00Z",
		],
		"one without a date": [
			_report(_day, {"PublishedDate": ""}), {},
			"CVE-2025-1 (critical) in openssl 3.0.1: fixed in 3.0.2, published at an unknown time",
		],
		"one of tomorrow": [
			_report(_day, {"PublishedDate": "2025-07-01T00:00:00Z"}), {},
			"CVE-2025-1 (critical) in openssl 3.0.1: fixed in 3.0.2, published 2025-07-01T00:00:00Z",
		],
		"a report that is old": [
			_clean("2025-06-20T00:00:00Z"), {"scanned_within_days": 7},
			"vulnerabilities: got a report of 2025-06-20T00:00:00Z, want one of the last 7 days",
		],
		"a report of tomorrow": [
			_clean("2025-07-01T00:00:00Z"), {"scanned_within_days": 7},
			"vulnerabilities: got a report of 2025-07-01T00:00:00Z, which is to come",
		],
		"a report without a date": [
			_clean(""), {"scanned_within_days": 7},
			"vulnerabilities: got a report of no date, want one of the last 7 days",
		],
	}
	[statement, more, want] := case
	vulnerabilities.overdue(given.attested([statement]), null, object.union(_wanted, more)) == {want}
}

# The newest report knows best; what has no date may be the newest.
test_reports_of_several_times[note] if {
	some note, case in {
		"an old one was bad": [[_report("2025-06-01T00:00:00Z", {}), _clean(_day)], set()],
		"an old one was clean": [[_clean("2025-06-01T00:00:00Z"), _report(_day, {})], {_reason}],
		"one is to come, and clean": [
			[_report(_day, {}), _clean("2025-07-01T00:00:00Z")],
			{"vulnerabilities: got a report of 2025-07-01T00:00:00Z, which is to come"},
		],
		"two of the same time": [[_clean(_day), _report(_day, {})], {_reason}],
		"one without a date": [[_clean(_day), _report("", {})], {_reason}],
		"a fraction of a second later": [[_clean(_day), _report("2025-06-29T00:00:00.5Z", {})], {_reason}],
	}
	[statements, want] := case
	vulnerabilities.overdue(given.attested(statements), null, _wanted) == want
}

test_unreadable[note] if {
	some note, case in {
		"no answer": [null, "no attestation: got no answer of cosign.attestations"],
		"no report": [given.refused, "no attestation: nothing there (not_found)"],
		"one that is none": [
			given.attested([_clean(_day), {}]),
			concat(", ", [
				"vulnerabilities: document: got none of scanner, runs, matches and SchemaVersion",
				"want cosign's predicate, SARIF, Grype or Trivy (unsupported)",
			]),
		],
	}
	[reports, want] := case
	vulnerabilities.overdue(reports, null, _wanted) == {want}
}

_vex(status) := given.statement("https://openvex.dev/ns", {
	"@context": "https://openvex.dev/ns/v0.2.0",
	"@id": "urn:doc",
	"author": "acme",
	"timestamp": "2025-02-01T00:00:00Z",
	"statements": [{
		"vulnerability": {"name": "CVE-2025-1"},
		"status": status,
		"justification": "vulnerable_code_not_present",
		"products": [{"hashes": {"sha-256": trim_prefix(_digest, "sha256:")}}],
	}],
})

test_vex[note] if {
	some note, case in {
		"not affected": [given.attested([_vex("not_affected")]), [_digest], set()],
		"affected": [given.attested([_vex("affected")]), [_digest], {_reason}],
		"no product": [given.attested([_vex("not_affected")]), [], {_reason}],
		"another product": [given.attested([_vex("not_affected")]), {"sha256:bb"}, {_reason}],
		"none": [given.refused, [_digest], {_reason}],
		"an empty one": [given.attested([]), [_digest], {_reason}],
		"one that cannot be read": [
			given.attested([_vex("harmless")]), [_digest],
			{concat(", ", [
				"vulnerabilities: documents[0].statements[0].status: got \"harmless\"",
				"want one of not_affected",
				"affected",
				"fixed",
				"under_investigation (malformed)",
			])},
		],
	}
	[statements, products, want] := case
	reports := given.attested([_report(_day, {})])
	vulnerabilities.overdue(reports, statements, object.union(_wanted, {"products": products})) == want
}

test_suppressed if {
	statement := given.statement("https://cosign.sigstore.dev/attestation/vuln/v1", {"scanner": {"result": {
		"SchemaVersion": 2,
		"Results": [{"ExperimentalModifiedFindings": [{"Type": "vulnerability", "Finding": _bad}]}],
	}}})
	reports := given.attested([statement])
	vulnerabilities.overdue(reports, null, _wanted) == {_reason}
	vulnerabilities.overdue(reports, null, object.union(_wanted, {"accept_suppressed": false})) == {_reason}
	vulnerabilities.overdue(reports, null, object.union(_wanted, {"accept_suppressed": true})) == set()
}

test_demands[note] if {
	some note, case in {
		"none": [{}, "demands: got no now, want it"],
		"a severity that is none": [
			object.union(_wanted, {"severity": "CRITICAL"}),
			"demands: got the severity CRITICAL, want negligible or low or medium or high or critical",
		],
		"misspelt": [object.union(_wanted, {"product": ["a"]}), concat(", ", [
			"demands: got the key product",
			"want one of accept_suppressed",
			"days",
			"now",
			"products",
			"scanned_within_days",
			"severity",
		])],
		"null for what may be": [
			object.union(_wanted, {"accept_suppressed": null}),
			"demands: got a value of accept_suppressed that is no boolean",
		],
		"days as a text": [object.union(_wanted, {"days": "30"}), "demands: got a value of days that is no number"],
	}
	[wanted, want] := case
	want in vulnerabilities.overdue(given.attested([_clean(_day)]), null, wanted)
}

_undefined("nothing") := 0

_undefined_of_four(a, b, c, d) := 0 if a == [[b, c], d]

# Whatever is undefined inside, there is a reason.
test_undefined_is_a_reason if {
	reports := given.attested([_clean(_day)])
	applied := vulnerabilities.overdue(reports, reports, _wanted) with vex.apply as _undefined_of_four
	applied == {"vulnerabilities: got a report that cannot be judged"}
	judged := vulnerabilities.overdue(reports, null, _wanted) with data.assay.lib.attested.statements as _undefined
	judged == {"vulnerabilities: got no report that can be judged"}
}
