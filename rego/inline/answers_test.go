package inline_test

import (
	"testing"

	"github.com/assay-dev/assay/rego/inline"
)

// TestAnswers tells modules that can comply from those that cannot, by what they
// define.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bool", "set of objects", "default with =", "rego.v1", "contains with import", "chained bodies of a rule"} {
		checkAnswers(t, name, true)
	}
	for _, name := range []string{"no isCompliant", "function"} {
		checkAnswers(t, name, false)
	}
}

func checkAnswers(t *testing.T, form string, want bool) {
	t.Helper()
	module, err := inline.Compile(t.Context(), []string{"cip", "p"}, "package sigstore\n"+forms()[form])
	if err != nil {
		t.Fatal(err)
	}
	if got := module.Answers(); got != want {
		t.Errorf("%s: got %t, want %t", form, got, want)
	}
}
