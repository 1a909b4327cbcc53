package vuln_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/vuln"
)

const grype = `{
  "matches": [
    {"vulnerability": {"id": "GHSA-jfh8-c2jp-5v3q", "severity": "Critical", "cvss": [{"version": "3.1", "metrics": {"baseScore": 10}}], "fix": {"versions": ["2.15.0"], "state": "fixed"}},
     "relatedVulnerabilities": [{"id": "CVE-2021-44228", "cvss": [{"metrics": {"baseScore": 9.3}}]}, {"id": "CVE-2021-44228"}, {"id": "GHSA-jfh8-c2jp-5v3q"}],
     "artifact": {"name": "log4j-core", "version": "2.14.1", "type": "java-archive", "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}},
    {"vulnerability": {"id": "CVE-2020-1", "severity": "Negligible", "fix": {"state": "wont-fix"}}, "artifact": {"name": "libc6"}}
  ],
  "ignoredMatches": [{"vulnerability": {"id": "CVE-2020-2", "severity": "High", "fix": {"state": "not-fixed"}}, "artifact": {"name": "b"}, "appliedIgnoreRules": [{}]}],
  "descriptor": {"name": "grype", "version": "0.87.0", "timestamp": "2025-01-02T03:04:05Z", "db": {"status": {"schemaVersion": "v6.0.2", "from": "https://example.com/db", "built": "2025-01-01T00:00:00Z"}}}
}`

const trivy = `{
  "SchemaVersion": 2, "CreatedAt": "2025-01-02T03:04:05Z", "Trivy": {"Version": "0.60.0"}, "ArtifactName": "app",
  "Results": [{"Target": "app", "Class": "os-pkgs", "Type": "alpine",
    "Vulnerabilities": [
      {"VulnerabilityID": "CVE-2021-36159", "VendorIDs": ["ALPINE-1"], "PkgName": "apk-tools", "InstalledVersion": "2.10.4-r3", "FixedVersion": "2.10.7-r0, 2.12.6-r0", "Status": "fixed", "Severity": "CRITICAL",
       "PkgIdentifier": {"PURL": "pkg:apk/alpine/apk-tools@2.10.4-r3"}, "CVSS": {"nvd": {"V2Score": 6.4, "V3Score": 9.1}, "redhat": {"V3Score": 8}}, "PublishedDate": "2021-08-03T14:15:08.233Z", "LastModifiedDate": "2023-11-07T03:36:43Z"},
      {"VulnerabilityID": "CVE-2021-2", "PkgName": "b", "Status": "will_not_fix", "Severity": "LOW"},
      {"VulnerabilityID": "CVE-2021-3", "PkgName": "b", "Severity": "UNKNOWN"},
      {"VulnerabilityID": "CVE-2021-4", "PkgName": "b", "Status": "under_investigation", "Severity": "MEDIUM"}],
    "ExperimentalModifiedFindings": [{"Type": "vulnerability", "Status": "ignored", "Finding": {"VulnerabilityID": "CVE-2021-5", "PkgName": "b", "FixedVersion": "2", "Severity": "HIGH"}}, {"Type": "secret", "Finding": {}}]
  }, {"Target": "empty"}]
}`

const sarif = `{
  "version": "2.1.0",
  "runs": [{
    "tool": {"driver": {"name": "Trivy", "version": "0.29.2", "informationUri": "https://github.com/aquasecurity/trivy", "rules": [
      {"id": "CVE-2021-36159", "help": {"text": "Vulnerability CVE-2021-36159\nSeverity: CRITICAL\nPackage: apk-tools\nFixed Version: 2.10.7-r0\nand: more"}, "properties": {"security-severity": "9.1", "tags": ["vulnerability", "CRITICAL"]}},
      {"id": "GHSA-jfh8-c2jp-5v3q-log4j-core", "help": {"text": "Vulnerability GHSA-jfh8-c2jp-5v3q\nSeverity: low\nPackage: log4j-core\nVersion: 2.14.1\nFix Version: \nType: java-archive"}, "properties": {"security-severity": 7.5, "purls": ["pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"]}}
    ]}},
    "invocations": [{"executionSuccessful": true, "startTimeUtc": "2025-01-02T03:04:05Z", "endTimeUtc": "2025-01-02T03:04:06Z"}],
    "results": [
      {"ruleId": "CVE-2021-36159", "ruleIndex": 0, "level": "error", "message": {"text": "Package: apk-tools\nInstalled Version: 2.10.4-r3\nVulnerability CVE-2021-36159\nSeverity: HIGH\nFixed Version: 2.10.7-r0, 2.12.6-r0"}},
      {"ruleIndex": 1, "message": {"text": "A low vulnerability"}, "suppressions": [{"kind": "external"}]},
      {"rule": {"id": "CVE-2021-3"}, "suppressions": [{"kind": "external", "status": "accepted"}, {"kind": "external", "status": "underReview"}]},
      {"ruleId": "CVE-2021-4", "kind": "pass"}, {"ruleId": "CVE-2021-5", "baselineState": "absent"},
      {"ruleId": "js/xss", "suppressions": []}
    ]
  }]
}`

func score(s float64) *float64 { return &s }

func grypeReport() vuln.Report {
	return vuln.Report{
		Format: "grype", FinishedOn: "2025-01-02T03:04:05Z",
		Scanner: vuln.Scanner{Name: "grype", Version: "0.87.0", DB: vuln.Database{Version: "v6.0.2", URI: "https://example.com/db", UpdatedOn: "2025-01-01T00:00:00Z"}},
		Findings: []vuln.Finding{
			{
				ID: "GHSA-jfh8-c2jp-5v3q", Aliases: []string{"CVE-2021-44228"}, Severity: "critical", Score: score(10), FixedVersions: []string{"2.15.0"}, State: "fixed",
				Package: vuln.Package{Name: "log4j-core", Version: "2.14.1", Type: "java-archive", PURL: "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
			},
			{ID: "CVE-2020-1", Aliases: []string{}, Severity: "negligible", FixedVersions: []string{}, State: "wont-fix", Package: vuln.Package{Name: "libc6"}},
			{ID: "CVE-2020-2", Aliases: []string{}, Severity: "high", FixedVersions: []string{}, State: "not-fixed", Package: vuln.Package{Name: "b"}, Suppressed: true},
		},
	}
}

func TestFindingsReads(t *testing.T) {
	t.Parallel()
	b := func(id, severity, state string) vuln.Finding {
		return vuln.Finding{ID: id, Aliases: []string{}, Severity: severity, FixedVersions: []string{}, State: state, Package: vuln.Package{Name: "b", Type: "alpine"}}
	}
	ignored := b("CVE-2021-5", "high", "fixed")
	ignored.FixedVersions, ignored.Suppressed = []string{"2"}, true
	cosign := grypeReport()
	cosign.Scanner.URI, cosign.Scanner.DB.Version = "https://example.com/scanner", "5"
	cosign.StartedOn, cosign.FinishedOn = "2025-01-02T03:00:00Z", "2025-01-02T03:10:00Z"
	for _, tt := range []struct {
		name, document string
		want           vuln.Report
	}{
		{"Grype", grype, grypeReport()},
		{"Trivy", trivy, vuln.Report{
			Format: "trivy", FinishedOn: "2025-01-02T03:04:05Z", Scanner: vuln.Scanner{Name: "Trivy", Version: "0.60.0"},
			Findings: []vuln.Finding{
				{
					ID: "CVE-2021-36159", Aliases: []string{"ALPINE-1"}, Severity: "critical", Score: score(9.1), FixedVersions: []string{"2.10.7-r0", "2.12.6-r0"}, State: "fixed",
					Package:     vuln.Package{Name: "apk-tools", Version: "2.10.4-r3", Type: "alpine", PURL: "pkg:apk/alpine/apk-tools@2.10.4-r3"},
					PublishedOn: "2021-08-03T14:15:08.233Z", ModifiedOn: "2023-11-07T03:36:43Z",
				},
				b("CVE-2021-2", "low", "wont-fix"), b("CVE-2021-3", "unknown", "not-fixed"), b("CVE-2021-4", "medium", "unknown"), ignored,
			},
		}},
		{"SARIF", sarif, vuln.Report{
			Format: "sarif", StartedOn: "2025-01-02T03:04:05Z", FinishedOn: "2025-01-02T03:04:06Z",
			Scanner: vuln.Scanner{Name: "Trivy", Version: "0.29.2", URI: "https://github.com/aquasecurity/trivy"},
			Findings: []vuln.Finding{
				{ID: "CVE-2021-36159", Aliases: []string{}, Severity: "critical", Score: score(9.1), FixedVersions: []string{"2.10.7-r0", "2.12.6-r0"}, State: "fixed", Package: vuln.Package{Name: "apk-tools", Version: "2.10.4-r3"}},
				{
					ID: "GHSA-jfh8-c2jp-5v3q", Aliases: []string{}, Severity: "high", Score: score(7.5), FixedVersions: []string{}, State: "not-fixed", Suppressed: true,
					Package: vuln.Package{Name: "log4j-core", Version: "2.14.1", Type: "java-archive", PURL: "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
				},
				{ID: "CVE-2021-3", Aliases: []string{}, Severity: "unknown", FixedVersions: []string{}, State: "unknown"},
				{ID: "js/xss", Aliases: []string{}, Severity: "unknown", FixedVersions: []string{}, State: "unknown"},
			},
		}},
		{"cosign around Grype", `{"scanner": {"uri": "https://example.com/scanner", "db": {"version": "5"}, "result": ` + grype + `}, "metadata": {"scanStartedOn": "2025-01-02T03:00:00Z", "scanFinishedOn": "2025-01-02T03:10:00Z"}}`, cosign},
		{"a statement around cosign around a text", `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "cosign.sigstore.dev/attestation/vuln/v1", "predicate": {"scanner": {"result": ` + quote(grype) + `}}}`, grypeReport()},
		{"an empty SARIF", `{"version": "2.1.0", "runs": [{"results": []}]}`, vuln.Report{Format: "sarif", Findings: []vuln.Finding{}}},
		{"an empty Grype", `{"matches": []}`, vuln.Report{Format: "grype", Findings: []vuln.Finding{}}},
		{"an empty Trivy", `{"SchemaVersion": 2, "Results": [{"Target": "app", "Class": "os-pkgs"}]}`, vuln.Report{Format: "trivy", Scanner: vuln.Scanner{Name: "Trivy"}, Findings: []vuln.Finding{}}},
		{"a Trivy of a language and a secret", `{"SchemaVersion": 2, "Results": [{"Target": "/k.pem", "Class": "secret"}, {"Target": "go.mod", "Class": "lang-pkgs", "Type": "gomod"}]}`, vuln.Report{Format: "trivy", Scanner: vuln.Scanner{Name: "Trivy"}, Findings: []vuln.Finding{}}},
		{"a Trivy whose finding stands in a result without a class", `{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"VulnerabilityID": "a", "Severity": "LOW"}]}]}`, vuln.Report{
			Format: "trivy", Scanner: vuln.Scanner{Name: "Trivy"},
			Findings: []vuln.Finding{{ID: "a", Aliases: []string{}, Severity: "low", FixedVersions: []string{}, State: "not-fixed"}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := vuln.Findings([]byte(tt.document))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			text, err := json.Marshal(got.Findings)
			if err != nil {
				t.Fatal(err)
			}
			again, err := vuln.Decode(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.Findings, again); diff != "" {
				t.Errorf("after Decode: %s", diff)
			}
		})
	}
}

func quote(text string) string {
	out, _ := json.Marshal(text)
	return string(out)
}

// A name with a line break in it cannot make a finding milder, nor take its fix away.
func TestFindingsBelieveTheWorstLine(t *testing.T) {
	t.Parallel()
	got, err := vuln.Findings([]byte(`{"version": "2.1.0", "runs": [{"results": [{"ruleId": "CVE-2021-1",
		"message": {"text": "Package: a\nSeverity: LOW\nFixed Version: \nInstalled Version: 1\nSeverity: CRITICAL\nFixed Version: 2"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []vuln.Finding{{
		ID: "CVE-2021-1", Aliases: []string{}, Severity: "critical", FixedVersions: []string{"2"}, State: "fixed", Package: vuln.Package{Name: "a", Version: "1"},
	}}
	if diff := cmp.Diff(want, got.Findings); diff != "" {
		t.Error(diff)
	}
}

// Of rules with one ID the worst counts, whichever stands last.
func TestFindingsBelieveTheWorstRule(t *testing.T) {
	t.Parallel()
	bad := `{"id": "CVE-2021-1", "help": {"text": "Package: a\nFixed Version: 2"}, "properties": {"security-severity": "9.8"}}`
	mild := `{"id": "CVE-2021-1", "help": {"text": "Package: a\nFixed Version: \nSeverity: LOW"}, "properties": {"security-severity": 2}}`
	want := []vuln.Finding{{
		ID: "CVE-2021-1", Aliases: []string{}, Severity: "critical", Score: score(9.8), FixedVersions: []string{"2"}, State: "fixed", Package: vuln.Package{Name: "a"},
	}}
	for name, tool := range map[string]string{
		"the bad one first":            `"driver": {"rules": [` + bad + `, ` + mild + `]}`,
		"the bad one last":             `"driver": {"rules": [` + mild + `, ` + bad + `]}`,
		"the mild one of an extension": `"driver": {"rules": [` + bad + `]}, "extensions": [{"rules": [` + mild + `]}]`,
	} {
		got, err := vuln.Findings([]byte(`{"version": "2.1.0", "runs": [{"tool": {` + tool + `}, "results": [{"ruleId": "CVE-2021-1"}]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Findings); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A report is as old as the oldest of what it holds.
func TestFindingsAreAsOldAsTheFirstRun(t *testing.T) {
	t.Parallel()
	got, err := vuln.Findings([]byte(`{"version": "2.1.0", "runs": [
		{"results": [], "invocations": [{"startTimeUtc": "2025-01-02T03:04:05.5Z", "endTimeUtc": "2025-01-02T03:04:06Z"}, {}]},
		{"results": [], "invocations": [{"startTimeUtc": "2025-01-02T03:04:05Z", "endTimeUtc": "2025-01-02T03:04:05Z"}]},
		{"results": [], "invocations": [{"startTimeUtc": "2025-06-01T00:00:00Z", "endTimeUtc": "2025-06-02T00:00:00Z"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.StartedOn != "2025-01-02T03:04:05Z" || got.FinishedOn != "2025-01-02T03:04:05Z" {
		t.Errorf("got %s to %s, want the earliest, 2025-01-02T03:04:05Z", got.StartedOn, got.FinishedOn)
	}
}

// A name with line breaks in it cannot push the fixed version out of sight.
func TestFindingsOfLongMessagesMayBeFixed(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		`Fixed Version: \n`:                             "not-fixed",
		`Fixed Version: \n` + strings.Repeat(`\n`, 20):  "unknown",
		strings.Repeat(`\n`, 20) + `Fixed Version: 1.2`: "unknown",
	} {
		document := `{"version": "2.1.0", "runs": [{"results": [{"ruleId": "CVE-2024-1234", "message": {"text": "Package: a` + message + `"}}]}]}`
		got, err := vuln.Findings([]byte(strings.Replace(document, "Package: a", `Package: a\n`, 1)))
		if err != nil || got.Findings[0].State != want {
			t.Errorf("%s: got %+v, %v, want %s", message, got.Findings, err, want)
		}
	}
}

func TestFindingsRefuses(t *testing.T) {
	t.Parallel()
	run := func(text string) string { return `{"version": "2.1.0", "runs": [{` + text + `}]}` }
	for _, tt := range []struct{ name, document, code, want string }{
		{"a format that is none of them", `{"vulnerabilities": []}`, "unsupported", "got none of scanner, runs, matches and SchemaVersion"},
		{"two formats at once", `{"runs": [], "matches": []}`, "malformed", "matches: got it beside runs, want one format"},
		{"cosign's predicate beside a report", `{"scanner": {"result": {"matches": []}}, "matches": []}`, "malformed", "matches: got it beside scanner"},
		{"cosign's predicate without a result", `{"scanner": {"result": null}}`, "malformed", "scanner.result: got none, want a report"},
		{"cosign's predicate with a scanner of null", `{"scanner": null}`, "malformed", "scanner.result: got none"},
		{"cosign's predicate in itself", `{"scanner": {"result": {"scanner": {"result": {"matches": []}}}}}`, "unsupported", "scanner.result: got none of"},
		{"a result that is a list", `{"scanner": {"result": []}}`, "malformed", "scanner.result: got no object"},
		{"a field of a result", `{"scanner": {"result": {"matches": [{"artifact": []}]}}}`, "malformed", "scanner.result.matches[0].artifact: got a list, want an object"},
		{"a time of the scan that is none", `{"scanner": {"result": {"matches": []}}, "metadata": {"scanFinishedOn": "now"}}`, "malformed", `metadata.scanFinishedOn: got "now", want a time`},
		{"SARIF 2.0", `{"version": "2.0.0", "runs": []}`, "unsupported", `version: got "2.0.0", want 2.1.0`},
		{"SARIF without a run", `{"version": "2.1.0", "runs": []}`, "malformed", "runs: got none, want at least one"},
		{"a run without results", run(`"tool": {}`), "malformed", "runs[0].results: got none, want a list"},
		{"a run whose results are null", run(`"results": null`), "malformed", "runs[0].results: got none, want a list"},
		{"a run that failed", run(`"results": [], "invocations": [{"executionSuccessful": false}]`), "malformed", "runs[0].invocations[0].executionSuccessful: got false, want true"},
		{"a result without an ID", run(`"results": [null]`), "malformed", "runs[0].results[0]: got a finding without an ID"},
		{"a rule that is not there", run(`"results": [{"ruleIndex": 3}]`), "malformed", "runs[0].results[0].ruleIndex: got 3, want one of 0 rules"},
		{"a rule before the first", run(`"results": [{"ruleId": "a", "ruleIndex": -2}]`), "malformed", "ruleIndex: got -2"},
		{"a severity of SARIF that is none", run(`"results": [], "tool": {"driver": {"rules": [{}, {"properties": {"security-severity": "NaN"}}]}}`), "malformed", `runs[0].tool.driver.rules[1].properties.security-severity: got "NaN", want a number from 0 to 10`},
		{"matches of null", `{"matches": null}`, "malformed", "matches: got none, want a list"},
		{"a match that is null", `{"matches": [null]}`, "malformed", "matches[0]: got a finding without an ID"},
		{"a severity that is not known", `{"matches": [{"vulnerability": {"id": "a", "severity": "catastrophic"}}]}`, "malformed", `matches[0].vulnerability.severity: got "catastrophic", want one of unknown, negligible`},
		{"a state that is not known", `{"matches": [{"vulnerability": {"id": "a", "fix": {"state": "soon"}}}]}`, "malformed", `matches[0].vulnerability.fix.state: got "soon"`},
		{"an ignored match of another type", `{"matches": [], "ignoredMatches": [5]}`, "malformed", "ignoredMatches[0]: got a number, want an object"},
		{"a database that was built never", `{"matches": [], "descriptor": {"db": {"built": "never"}}}`, "malformed", "descriptor.db.built: got"},
		{"Trivy's first schema", `{"SchemaVersion": 1}`, "unsupported", "SchemaVersion: got 1, want 2"},
		{"a Trivy without results", `{"SchemaVersion": 2}`, "malformed", "Results: got none, want a list"},
		{"a Trivy with results in another case", `{"SchemaVersion": 2, "results": []}`, "malformed", "Results: got none, want a list"},
		{"a Trivy with an empty list of results", `{"SchemaVersion": 2, "Results": []}`, "malformed", "Results: got none of class os-pkgs or lang-pkgs, want one"},
		{"a Trivy that looked for secrets and misconfigurations only", `{"SchemaVersion": 2, "Results": [{"Target": "/k.pem", "Class": "secret", "Secrets": [{}]}, {"Target": "Dockerfile", "Class": "config", "Type": "dockerfile", "MisconfSummary": {}}]}`, "malformed", "Results: got none of class os-pkgs or lang-pkgs, want one"},
		{"a Trivy that looked for licences only", `{"SchemaVersion": 2, "Results": [{"Target": "OS Packages", "Class": "license"}, {"Target": "", "Class": "license-file"}]}`, "malformed", "Results: got none of class os-pkgs"},
		{"a Trivy whose result has no class and no finding", `{"SchemaVersion": 2, "Results": [{"Target": "app", "Type": "alpine", "Vulnerabilities": []}]}`, "malformed", "Results: got none of class os-pkgs"},
		{"a Trivy whose class is in another case", `{"SchemaVersion": 2, "Results": [{"Target": "app", "Class": "OS-PKGS"}]}`, "malformed", "Results: got none of class os-pkgs"},
		{"a Trivy whose one modified finding is a secret", `{"SchemaVersion": 2, "Results": [{"Class": "secret", "ExperimentalModifiedFindings": [{"Type": "secret", "Finding": {}}]}]}`, "malformed", "Results: got none of class os-pkgs"},
		{"vulnerabilities that are an object", `{"SchemaVersion": 2, "Results": [{"Vulnerabilities": {}}]}`, "malformed", "Results[0].Vulnerabilities: got an object, want a list"},
		{"a vulnerability without an ID", `{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"Severity": "LOW"}]}]}`, "malformed", "Results[0].Vulnerabilities[0]: got a finding without an ID"},
		{"a date that is none", `{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"VulnerabilityID": "a", "PublishedDate": "1"}]}]}`, "malformed", "Results[0].Vulnerabilities[0].PublishedDate: got"},
		{"a key twice", `{"matches": [{"vulnerability": {"id": "a", "severity": "Critical", "severity": "Low"}}]}`, "malformed", "matches[0].vulnerability.severity: got the key twice"},
		{"more findings than the bound", `{"matches": [` + strings.Repeat(`{"vulnerability":{"id":"a"}},`, vuln.MaxFindings) + `{"vulnerability":{"id":"a"}}]}`, "too_large", "matches[50000]: got more than 50000 findings"},
		{"results that repeat a long rule", `{"version": "2.1.0", "runs": [{"tool": {"driver": {"rules": [{"id": "` + strings.Repeat("a", 1<<20) + `"}]}}, "results": [` + strings.Repeat(`{"ruleIndex": 0},`, 20) + `{"ruleIndex": 0}]}]}`, "too_large", "got findings of more than 16777216 bytes"},
		{"a hundred megabytes", strings.Repeat(" ", 100<<20), "too_large", "got 104857600 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := vuln.Findings([]byte(tt.document))
			refused(t, err, tt.code, tt.want)
			if diff := cmp.Diff(vuln.Report{}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, findings, want string }{
		{"null", `null`, "got null, want a list"},
		{"an object", `{}`, "got an object, want a list"},
		{"no ID", `[{"severity": "low"}]`, "[0]: got a finding without an ID"},
		{"a severity that is none", `[{"id": "a", "severity": "x"}]`, `[0].severity: got "x"`},
		{"a state that is none", `[{"id": "a", "state": "x"}]`, `[0].state: got "x"`},
		{"another type", `[{"id": "a", "package": "b"}]`, "[0].package: got a string, want an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := vuln.Decode([]byte(tt.findings))
			refused(t, err, "malformed", tt.want)
		})
	}
}

// refused wants a *bounded.Error with a code and a text.
func refused(t *testing.T, err error, code, want string) {
	t.Helper()
	var got *bounded.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a *bounded.Error", err)
	}
	if string(got.Code) != code || !strings.Contains(got.Error(), want) {
		t.Errorf("got %s: %s, want %s: …%s…", got.Code, got, code, want)
	}
}

// Many results may refer to one rule with a long text: it is read once.
func TestFindingsMemoryIsBounded(t *testing.T) {
	long := strings.Repeat("Fixed Version: "+strings.Repeat("1, ", 1000)+`\n`, 3000)
	tags := strings.Repeat(`"a",`, 100_000) + `"b"`
	document := fmt.Sprintf(`{"version": "2.1.0", "runs": [{"tool": {"driver": {"rules": [{"id": "a", "help": {"text": "%s"}, "properties": {"tags": [%s]}}]}}, "results": [%s{"ruleId": "a"}]}]}`,
		long, tags, strings.Repeat(`{"ruleId": "a"},`, 5_000))
	data := []byte(document)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := vuln.Findings(data)
	runtime.ReadMemStats(&after)
	if err != nil || len(got.Findings) != 5_001 {
		t.Fatalf("got %d findings, %v, want all", len(got.Findings), err)
	}
	// What others allocate meanwhile is counted too, and the race detector takes a third
	// more; a text for each result would be 15 GB.
	if got := after.TotalAlloc - before.TotalAlloc; got > 512<<20 {
		t.Errorf("got %d bytes allocated, want less", got)
	} else {
		t.Logf("%d bytes allocated", got)
	}
}

func FuzzFindings(f *testing.F) {
	for _, seed := range []string{grype, trivy, sarif, `{"scanner": {"result": ` + trivy + `}}`, `{"version":"2.1.0","runs":[{"results":[{"ruleIndex":-1,"ruleId":"a"}]}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := vuln.Findings(data)
		var refusal *bounded.Error
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatalf("got %T, want a *bounded.Error", err)
			}
			return
		}
		for _, f := range report.Findings {
			if f.ID == "" || f.Aliases == nil || f.FixedVersions == nil || f.Severity == "" || f.State == "" {
				t.Fatalf("got %+v, want every field there", f)
			}
		}
	})
}
