package vuln_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/vuln"
)

// TestConformanceReports reads real reports and predicates.
func TestConformanceReports(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real reports to read")
	}
	t.Run("a report of Trivy in SARIF", func(t *testing.T) {
		t.Parallel()
		text := read(t, filepath.Join(data, "statements", "ratify-trivy-scan-report.json"))
		got, err := vuln.Findings(text)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Count(string(text), `"ruleId"`); len(got.Findings) != want || want == 0 {
			t.Errorf("got %d findings, want %d", len(got.Findings), want)
		}
		want := vuln.Finding{
			ID: "CVE-2021-36159", Aliases: []string{}, Severity: "critical", Score: score(9.1), FixedVersions: []string{"2.10.7-r0"}, State: "fixed",
			Package: vuln.Package{Name: "apk-tools", Version: "2.10.4-r3"},
		}
		if diff := cmp.Diff(want, got.Findings[0]); diff != "" {
			t.Error(diff)
		}
		for _, f := range got.Findings {
			if f.Package.Name == "" || f.Severity == "unknown" || f.State == "unknown" {
				t.Errorf("got %+v, want package, severity and state", f)
			}
		}
	})
	t.Run("cosign's example, which has no result", func(t *testing.T) {
		t.Parallel()
		_, err := vuln.Findings(read(t, filepath.Join(data, "statements", "cosign-vuln-predicate.json")))
		refused(t, err, "malformed", "scanner.result: got none")
	})
	for layout, want := range map[string]vuln.Report{
		"distroless-static-vuln-attestation": {
			Format: "sarif", StartedOn: "2022-07-29T02:28:42Z", FinishedOn: "2022-07-29T02:28:48Z", Findings: []vuln.Finding{},
			Scanner: vuln.Scanner{Name: "Trivy", Version: "0.29.2", URI: "https://github.com/aquasecurity/trivy"},
		},
		"generated/generated-keyless-bundles-1": {StartedOn: "2022-04-12T00:00:00Z", FinishedOn: "2022-04-12T00:10:00Z"},
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			got, err := vuln.Findings(attestation(t, filepath.Join(data, "images", layout)))
			if err != nil {
				t.Fatal(err)
			}
			if want.Format == "" { // the same report as above, made with cosign here
				if len(got.Findings) < 40 || got.StartedOn != want.StartedOn || got.FinishedOn != want.FinishedOn {
					t.Errorf("got %d findings of %s, want more than 40 of %s", len(got.Findings), got.FinishedOn, want.FinishedOn)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// attestation is the statement about vulnerabilities of a layout.
func attestation(t *testing.T, layout string) []byte {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs {
		var envelope struct {
			Payload []byte `json:"payload"`
			Inner   struct {
				Payload []byte `json:"payload"`
			} `json:"dsseEnvelope"`
		}
		if json.Unmarshal(read(t, name), &envelope) != nil {
			continue // a layer
		}
		if payload := append(envelope.Payload, envelope.Inner.Payload...); strings.Contains(string(payload), "attestation/vuln/v1") {
			return payload
		}
	}
	t.Fatalf("%s: got no attestation of vulnerabilities, want one", layout)
	return nil
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
