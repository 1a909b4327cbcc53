package cue_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/cue"
)

// TestCheck says of policies that are no CUE what evaluating them says, and nothing
// of those that only fail when they are evaluated.
func TestCheck(t *testing.T) {
	t.Parallel()
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, policy := range map[string]string{
		"no operand": "a: ", "no bracket": "a: [1", "no text": "\"a", "Rego": "package sigstore\nisCompliant { true }", "too long": strings.Repeat(" ", 1<<20),
	} {
		want := evaluator.Validate(t.Context(), policy, []byte("{}"), false)
		if got := cue.Check(policy); got == nil || want == nil || *got != *want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	for name, policy := range map[string]string{
		"nothing": "", "a policy": "a!: =~\"^b\"", "a reference to nothing": "a: b", "an unknown package": "import \"nosuch\"\na: nosuch.b",
		"one that runs away": "import \"list\"\na: list.Range(0, 1000000000, 1)",
	} {
		if got := cue.Check(policy); got != nil {
			t.Errorf("%s: got %v, want no refusal", name, got)
		}
	}
}
