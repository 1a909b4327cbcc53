package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assay-dev/assay/rego"
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
