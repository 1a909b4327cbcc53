package raw_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/lib"
	"github.com/assay-dev/assay/rego/raw"
)

// TestRuleThatNobodyAsks is no rule that is silent: its policy fails.
func TestRuleThatNobodyAsks(t *testing.T) {
	t.Parallel()
	const calm = "package policies.p\n\ndeny contains \"x\" if input.bad\n"
	for _, tt := range []struct {
		name, own, below, want string
	}{
		{"deny below the policy", calm, "package policies.p.labels\n\ndeny contains \"y\"\n", "below.rego:3: rego_compile_error: got a rule deny in package policies.p.labels that nothing asks, want it in package policies.p"},
		{"deny with more behind it", calm, "package policies.p.labels\n\ndeny.team contains \"y\"\n", "that nothing asks"},
		{"violation", calm, "package policies.p.labels\n\nviolation contains \"y\"\n", "that nothing asks"},
		{"only its own package asks", calm, "package policies.p.labels\n\ndeny contains \"y\" if not data.policies.p.labels.fine\n\nfine := false\n", "that nothing asks"},
		{"a package in the place of the rule", "package policies.p\n\nwarn contains \"x\" if input.bad\n", "package policies.p.deny\n\nlabels contains \"y\"\n", "below.rego:1: rego_compile_error: got the package policies.p.deny, want a rule deny in package policies.p"},
		{"asked by path", calm + "\ndeny contains x if some x in data.policies.p.labels.deny\n", "package policies.p.labels\n\ndeny contains \"y\"\n", ""},
		{"asked through an import", "package policies.p\n\nimport data.policies.p.labels\n\ndeny contains x if some x in labels.deny\n", "package policies.p.labels\n\ndeny contains \"y\"\n", ""},
		{"a rule of another name", calm, "package policies.p.labels\n\nfound contains \"y\"\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, raw.Source{Modules: map[string]string{"own.rego": tt.own, "below.rego": tt.below}}).Policy("p")
			failure := p.Failure()
			if (failure == nil) != (tt.want == "") || failure != nil && !strings.Contains(failure.Message, tt.want) {
				t.Errorf("got %+v, want %q", failure, tt.want)
			}
		})
	}
}

// TestRuleFromAboveThePolicy: the file would be a library, and the rule part of no policy.
func TestRuleFromAboveThePolicy(t *testing.T) {
	t.Parallel()
	library, err := lib.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{"admission.deny contains \"x\"", "admission := {\"deny\": [\"x\"]}"} {
		_, err := raw.Compile(t.Context(), raw.Source{Modules: map[string]string{"a.rego": "package kubernetes\n\n" + rule + "\n"}, Library: library})
		if err == nil || !strings.Contains(err.Error(), "in package kubernetes, want it in package kubernetes.admission") {
			t.Errorf("%s: got %v, want it refused", rule, err)
		}
	}
}
