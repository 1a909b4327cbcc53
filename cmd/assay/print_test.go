package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/lint"
)

// TestHostileTextIsNoLineOfOurs has a decision whose every text was chosen by others: by
// who signed, who wrote a policy or an object, or a registry.
func TestHostileTextIsNoLineOfOurs(t *testing.T) {
	t.Parallel()
	const hostile = "x\x1b[2J\u009b31m\u202egnp\x00\r\nadmitted\u2028\nwarning: y\xff"
	refused := &rego.Error{Code: "no_signatures", Message: hostile}
	var out strings.Builder
	err := printDecision(&out, rego.Decision{
		Images: []rego.Image{{Image: hostile, Digest: hostile, Manifest: "index", Policies: []rego.Policy{{
			Name: hostile, Mode: "warn", Outcome: "failed", Inside: &rego.Inside{Outcome: "failed", Error: refused},
			Authorities: []rego.Authority{
				{Name: hostile, Error: refused},
				{Name: hostile, Outcome: "passed", Signers: []rego.Signer{{Subject: hostile, Issuer: hostile, Format: "legacy", PredicateType: hostile, Weaker: []string{hostile}}}},
			},
		}}}},
		Rego:     []rego.RawPolicy{{Name: hostile, Mode: "warn", Outcome: "failed", Title: hostile, Severity: hostile, Owner: hostile, Docs: hostile}},
		Reasons:  []string{hostile},
		Warnings: []string{hostile},
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b\u202e\x00\r\u2028") || !utf8.ValidString(out.String()) {
		t.Errorf("got what does not print in %q", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "admitted") || strings.HasPrefix(line, "warning: y") {
			t.Errorf("got the line %q, which looks like one of ours, in\n%s", line, out.String())
		}
	}
}

// TestHostileFindingIsOneFinding has a file, a policy and a field that were named to look
// like more.
func TestHostileFindingIsOneFinding(t *testing.T) {
	t.Parallel()
	const hostile = "x\x1b[2J\u202e\r\na.yaml:1: error: y\u2028\xff"
	var out strings.Builder
	if err := printFindings(&out, []lint.Finding{{
		Rule: hostile, Severity: lint.Error, File: hostile, Line: 1, Policy: hostile, Path: hostile, Message: hostile, Fix: hostile,
	}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e\r\u2028") || !utf8.ValidString(out.String()) || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("got %q, want three lines of what prints", out.String())
	}
}

// TestHostileErrorIsNoLineOfOurs is about files whose names were chosen by others.
func TestHostileErrorIsNoLineOfOurs(t *testing.T) {
	t.Parallel()
	const hostile = "x\nadmitted"
	for _, args := range [][]string{{"lint", hostile}, {"diff", "--old", hostile, "--new", hostile, hostile}, {"replay", hostile}, {"compile", hostile}} {
		var out strings.Builder
		if code := run(t.Context(), args, &out, &out); code != exitUndecided || strings.Contains(out.String(), "\nadmitted") || !strings.Contains(out.String(), "x\n  admitted") {
			t.Errorf("%s: got code %d and %q", args[0], code, out.String())
		}
	}
}

// TestHostileWarningIsNoLineOfOurs is about a policy whose name or text was.
func TestHostileWarningIsNoLineOfOurs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "x\nadmitted")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	policy := "package policies.p\n\ndeny contains \"x\" if data.nothing.at_all\n"
	if err := os.WriteFile(filepath.Join(dir, "p.rego"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	pod := filepath.Join(filepath.Dir(dir), "pod.yaml")
	if err := os.WriteFile(pod, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"compile", "-o", t.TempDir(), dir}, {"diff", "--old", dir, "--new", dir, pod}} {
		var out strings.Builder
		run(t.Context(), args, &out, &out)
		if strings.Contains(out.String(), "\nadmitted") || !strings.Contains(out.String(), "warning: ") {
			t.Errorf("%s: got %q", args[0], out.String())
		}
	}
}
