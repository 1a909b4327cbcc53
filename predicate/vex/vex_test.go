package vex_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/vex"
	"github.com/assay-dev/assay/predicate/vuln"
)

const (
	hex     = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	image   = "pkg:oci/app@sha256:" + hex + "?repository_url=ghcr.io/acme/app"
	openssl = "pkg:apk/alpine/openssl@3.0.1?arch=x86_64"
)

func finding() vuln.Finding {
	return vuln.Finding{
		ID: "GHSA-aaaa-bbbb-cccc", Aliases: []string{"CVE-2024-1"}, Severity: "critical",
		Package: vuln.Package{Name: "openssl", PURL: openssl},
	}
}

// document is one of statements, of the first of January.
func document(statements ...string) []byte {
	return fmt.Appendf(nil, `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:doc", "author": "acme", "timestamp": "2024-01-01T00:00:00Z", "version": 1, "statements": [%s]}`,
		strings.Join(statements, ","))
}

// says is a statement about CVE-2024-1.
func says(status, products string, more ...string) string {
	return fmt.Sprintf(`{"vulnerability": {"name": "CVE-2024-1"}, "status": %q, "products": [%s]%s}`, status, products, strings.Join(append([]string{""}, more...), ", "))
}

const (
	justified = `"justification": "vulnerable_code_not_in_execute_path"`
	app       = `{"@id": "pkg:oci/app?repository_url=ghcr.io/acme/app"}`
)

func TestApplyRemoves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, statement string
		products        []string
	}{
		{"by a package URL that covers the image", says("not_affected", app, justified), []string{image}},
		{"by an impact statement instead of a justification", says("not_affected", app, `"impact_statement": "not used"`), []string{image}},
		{"what is fixed", says("fixed", app), []string{image}},
		{"by the same package URL", says("fixed", fmt.Sprintf(`{"@id": %q}`, image)), []string{image}},
		{"by the digest in a package URL", says("fixed", fmt.Sprintf(`{"@id": %q}`, image)), []string{"sha256:" + hex}},
		{"by a hash", says("fixed", fmt.Sprintf(`{"hashes": {"sha-256": %q}}`, strings.ToUpper(hex))), []string{"sha256:" + hex}},
		{"by the digest of the package URL asked for", says("fixed", fmt.Sprintf(`{"hashes": {"sha-256": %q}}`, hex)), []string{image}},
		{"by an identifier", says("fixed", fmt.Sprintf(`{"identifiers": {"purl": %q}}`, image)), []string{image}},
		{"by any identifier that is the same", says("fixed", `{"@id": "https://example.com/app"}`), []string{"other", "https://example.com/app"}},
		{"by a subcomponent", says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:apk/alpine/zlib"}, {"@id": "pkg:apk/alpine/openssl@3.0.1"}]}`), []string{image}},
		{"by one of several products", says("fixed", `{"@id": "pkg:oci/other"}, `+app), []string{image}},
		{"by the other name of the vulnerability", `{"vulnerability": {"name": "CVE-2024-9", "aliases": ["GHSA-aaaa-bbbb-cccc"]}, "status": "fixed", "products": [` + app + `]}`, []string{image}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := vex.Apply([]vuln.Finding{finding()}, [][]byte{document(tt.statement)}, tt.products, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Remaining) != 0 || len(got.Removed) != 1 {
				t.Errorf("got %+v, want the finding removed", got)
			}
		})
	}
}

func TestApplyLeaves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		documents [][]byte
		products  []string
	}{
		{"what no document is about", nil, []string{image}},
		{"what is affected", [][]byte{document(says("affected", app))}, []string{image}},
		{"what is under investigation", [][]byte{document(says("under_investigation", app))}, []string{image}},
		{"another vulnerability", [][]byte{document(`{"vulnerability": {"name": "CVE-2024-11"}, "status": "fixed", "products": [` + app + `]}`)}, []string{image}},
		{"a name in another case", [][]byte{document(`{"vulnerability": {"name": "cve-2024-1"}, "status": "fixed", "products": [` + app + `]}`)}, []string{image}},
		{"a statement without products", [][]byte{document(`{"vulnerability": {"name": "CVE-2024-1"}, "status": "fixed"}`)}, []string{image}},
		{"a product that nobody asked for", [][]byte{document(says("fixed", `{"@id": "pkg:oci/other"}`))}, []string{image}},
		{"a product that is nothing", [][]byte{document(says("fixed", `{}`))}, []string{image, ""}},
		{"when no product is asked for", [][]byte{document(says("fixed", app))}, nil},
		{"another version", [][]byte{document(says("fixed", `{"@id": "pkg:oci/app@sha256:bb"}`))}, []string{image}},
		{"another repository", [][]byte{document(says("fixed", `{"@id": "pkg:oci/app?repository_url=ghcr.io/acme/app2"}`))}, []string{image}},
		{"a version where none is asked for", [][]byte{document(says("fixed", fmt.Sprintf(`{"@id": %q}`, image)))}, []string{"pkg:oci/app?repository_url=ghcr.io/acme/app"}},
		{"a hash by another algorithm", [][]byte{document(says("fixed", fmt.Sprintf(`{"hashes": {"sha3-256": %q}}`, hex)))}, []string{"sha256:" + hex}},
		{"another hash", [][]byte{document(says("fixed", `{"hashes": {"sha-256": "bb"}}`))}, []string{"sha256:" + hex, "sha256:bb"}},
		{"another subcomponent", [][]byte{document(says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:apk/alpine/zlib"}]}`))}, []string{image}},
		{"a subcomponent of another version", [][]byte{document(says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:apk/alpine/openssl@3.0.2"}]}`))}, []string{image}},
		{"a subcomponent without a package URL", [][]byte{document(says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [{"@id": "openssl"}]}`))}, []string{image}},
		{"what a newer statement calls affected", [][]byte{document(says("fixed", app), says("affected", app, `"timestamp": "2024-02-01T00:00:00Z"`))}, []string{image}},
		{"what a statement changed since calls affected", [][]byte{document(says("affected", app, `"last_updated": "2024-02-01T00:00:00Z"`), says("fixed", app, `"timestamp": "2024-01-15T00:00:00Z"`))}, []string{image}},
		{"what another document calls affected later", [][]byte{document(says("affected", app, `"timestamp": "2024-02-01T00:00:00Z"`)), document(says("fixed", app))}, []string{image}},
		{"what a statement as new calls affected", [][]byte{document(says("affected", app), says("fixed", app))}, []string{image}},
		{"what a statement as new calls affected, the other way round", [][]byte{document(says("fixed", app), says("affected", app))}, []string{image}},
		{"what was said too late", [][]byte{document(says("fixed", app, `"timestamp": "2025-02-01T00:00:00Z"`))}, []string{image}},
		{"what was changed too late", [][]byte{document(says("fixed", app, `"last_updated": "2025-02-01T00:00:00Z"`))}, []string{image}},
		{"what an older name of it is called", [][]byte{document(says("fixed", app), `{"vulnerability": {"name": "GHSA-aaaa-bbbb-cccc"}, "status": "affected", "timestamp": "2024-03-01T00:00:00Z", "products": [`+app+`]}`)}, []string{image}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := vex.Apply([]vuln.Finding{finding()}, tt.documents, tt.products, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(vex.Result{Remaining: []vuln.Finding{finding()}, Removed: []vex.Removed{}}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A finding whose package the report does not name is in no subcomponent.
func TestApplyLeavesWhatHasNoPackage(t *testing.T) {
	t.Parallel()
	f := finding()
	f.Package.PURL = ""
	statement := says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:apk/alpine/openssl"}]}`)
	got, err := vex.Apply([]vuln.Finding{f}, [][]byte{document(statement)}, []string{image}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || len(got.Remaining) != 1 {
		t.Errorf("got %+v, %v, want it left", got, err)
	}
}

func TestApplySaysWhichStatement(t *testing.T) {
	t.Parallel()
	other := vuln.Finding{ID: "CVE-2024-2", Aliases: []string{}}
	documents := [][]byte{document(
		says("affected", app),
		says("not_affected", app, `"@id": "urn:newer"`, justified, `"impact_statement": "why"`, `"timestamp": "2024-02-01T01:00:00+01:00"`),
	)}
	got, err := vex.Apply([]vuln.Finding{other, finding(), other}, documents, []string{"sha256:" + hex, image}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	want := vex.Result{
		Remaining: []vuln.Finding{other, other},
		Removed: []vex.Removed{{Finding: finding(), Statement: vex.Statement{
			Document: "urn:doc", Author: "acme", ID: "urn:newer", Product: image, Status: "not_affected",
			Justification: "vulnerable_code_not_in_execute_path", ImpactStatement: "why", Timestamp: "2024-02-01T00:00:00Z",
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	many := make([]string, vex.MaxProducts+1)
	for _, tt := range []struct {
		name, document, code, want string
		products                   []string
	}{
		{"no document", `null`, "malformed", "documents[0]: got no object", nil},
		{"another format", `{"bomFormat": "CycloneDX"}`, "unsupported", `documents[0].@context: got "", want https://openvex.dev/ns/v0.2.0`, nil},
		{"an older version", `{"@context": "https://openvex.dev/ns/v0.1.0", "statements": []}`, "unsupported", "documents[0].@context: got", nil},
		{"no statements", `{"@context": "https://openvex.dev/ns"}`, "malformed", "documents[0].statements: got none, want a list", nil},
		{"a statement that is null", string(document("null")), "malformed", "documents[0].statements[0].vulnerability.name: got none", nil},
		{"a vulnerability that is a text", string(document(`{"vulnerability": "CVE-2024-1"}`)), "malformed", "documents[0].statements[0].vulnerability: got a string, want an object", nil},
		{"a status that is none", string(document(says("harmless", app))), "malformed", `documents[0].statements[0].status: got "harmless", want one of not_affected, affected, fixed, under_investigation`, nil},
		{"not affected without a reason", string(document(says("not_affected", app))), "malformed", "documents[0].statements[0]: either justification or impact statement must be defined", nil},
		{"a reason that is none", string(document(says("not_affected", app, `"justification": "trust_me"`))), "malformed", "documents[0].statements[0]: invalid justification value", nil},
		{"a time that is none", string(document(says("fixed", app, `"timestamp": "soon"`))), "malformed", `documents[0].statements[0].timestamp: got "soon"`, nil},
		{"no time at all", `{"@context": "https://openvex.dev/ns", "statements": [` + says("fixed", app) + `]}`, "malformed", "documents[0].statements[0].timestamp: got none, here or in the document", nil},
		{"a time of the document that is none", `{"@context": "https://openvex.dev/ns", "timestamp": "x", "statements": [` + says("fixed", app) + `]}`, "malformed", `documents[0].timestamp: got "x"`, nil},
		{"a status twice", string(document(`{"vulnerability": {"name": "a"}, "status": "affected", "status": "fixed"}`)), "malformed", "documents[0].statements[0].status: got the key twice", nil},
		{"a statement of in-toto about something else", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document", "predicate": {}}`, "unsupported", "documents[0].predicateType: got", nil},
		{"many products", `{}`, "too_large", "products: got 65, want at most 64", many},
		{"a hundred megabytes", strings.Repeat(" ", 100<<20), "too_large", "documents[0]: got 104857600 bytes so far", nil},
		{"more statements than the bound", string(document(strings.Repeat(`{"vulnerability":{"name":"a"},"status":"affected"},`, vex.MaxStatements) + says("fixed", app))), "too_large", "documents[0].statements[50000]: got more than 50000 statements", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := vex.Apply([]vuln.Finding{finding()}, [][]byte{[]byte(tt.document)}, tt.products, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
			var refusal *bounded.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a *bounded.Error", err)
			}
			if string(refusal.Code) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %s: %s, want %s: …%s…", refusal.Code, err, tt.code, tt.want)
			}
			if len(got.Removed) > 0 {
				t.Error("got findings removed beside the error, want none")
			}
		})
	}
}

// Many findings and many subcomponents of one vulnerability end with a refusal, not
// with hours of work.
func TestApplyRefusesTooMuchWork(t *testing.T) {
	t.Parallel()
	findings := make([]vuln.Finding, 20_000)
	for i := range findings {
		findings[i] = finding()
	}
	statement := says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [`+strings.TrimSuffix(strings.Repeat(`{"@id":"pkg:apk/alpine/zlib"},`, 1_000), ",")+`]}`)
	_, err := vex.Apply(findings, [][]byte{document(statement)}, []string{image}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	var refusal *bounded.Error
	if !errors.As(err, &refusal) || refusal.Code != bounded.TooLarge {
		t.Errorf("got %v, want too_large", err)
	}
}

// Statements about packages without a name match nothing, and are work all the same.
func TestApplyRefusesTooMuchWorkForNothing(t *testing.T) {
	t.Parallel()
	findings := make([]vuln.Finding, 5_000)
	for i := range findings {
		findings[i] = finding()
	}
	statements := slices.Repeat([]string{says("fixed", `{"@id": "pkg:oci/app", "subcomponents": [{"@id": "zlib"}]}`)}, 5_000)
	_, err := vex.Apply(findings, [][]byte{document(statements...)}, []string{image}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	var refusal *bounded.Error
	if !errors.As(err, &refusal) || refusal.Code != bounded.TooLarge {
		t.Errorf("got %v, want too_large", err)
	}
}

// One long statement may remove every finding, and is told of each.
func TestApplyRefusesTooLongAnAnswer(t *testing.T) {
	t.Parallel()
	findings := slices.Repeat([]vuln.Finding{finding()}, 100)
	statement := says("not_affected", app, `"impact_statement": "`+strings.Repeat("a", 1<<20)+`"`)
	_, err := vex.Apply(findings, [][]byte{document(statement)}, []string{image}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	var refusal *bounded.Error
	if !errors.As(err, &refusal) || refusal.Code != bounded.TooLarge {
		t.Errorf("got %v, want too_large", err)
	}
}

// Whatever the documents are, each finding is in one of the two lists, and with no
// product none is removed.
func FuzzApply(f *testing.F) {
	f.Add(document(says("fixed", app)))
	f.Add(document(says("not_affected", `{"hashes": {"sha-256": "`+hex+`"}, "subcomponents": [{"identifiers": {"purl": "pkg:a/b"}}]}`, justified), says("affected", app)))
	f.Add([]byte(`{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://openvex.dev/ns", "predicate": {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, products := range [][]string{{image, "sha256:" + hex}, nil} {
			got, err := vex.Apply([]vuln.Finding{finding()}, [][]byte{data}, products, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
			var refusal *bounded.Error
			switch {
			case err != nil && !errors.As(err, &refusal):
				t.Fatalf("got %T, want a *bounded.Error", err)
			case err == nil && len(got.Remaining)+len(got.Removed) != 1:
				t.Fatalf("got %+v, want the finding once", got)
			case err == nil && products == nil && len(got.Removed) > 0:
				t.Fatal("got a finding removed for no product")
			}
		}
	})
}
