package raw_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assay-dev/assay/rego/raw"
)

// TestNumberThatNobodyReads is the failure of the policy that says it: a decision with it
// in the details of a warning could not be read, and nothing would be admitted.
func TestNumberThatNobodyReads(t *testing.T) {
	t.Parallel()
	for body, fails := range map[string]bool{
		"warn contains {\"msg\": \"x\", \"n\": 1e400}": true,
		"deny := {\"x\": [{-1e400}]}":                  true,
		"warn contains {\"msg\": \"x\", \"n\": 1e300}": false,
	} {
		p := compile(t, raw.Source{Modules: map[string]string{"p.rego": "package policies.p\n\n" + body + "\n"}}).Policy("p")
		_, failure := judge(t, p, "{}")
		if (failure != nil) != fails || fails && (failure.Code != "malformed" || !strings.Contains(failure.Message, "1e400")) {
			t.Errorf("%s: got %+v, want a failure %t", body, failure, fails)
		}
	}
}

// TestCauseIsShort, whatever is in the review: it stands in the answer to the API server.
func TestCauseIsShort(t *testing.T) {
	t.Parallel()
	p := compile(t, raw.Source{Modules: map[string]string{"p.rego": "package policies.p\n\ndeny := to_number(input.x)\n"}}).Policy("p")
	_, failure := judge(t, p, `{"x": "`+strings.Repeat("é", 1<<20)+`"}`)
	if failure == nil || len(failure.Message) > 1100 || !utf8.ValidString(failure.Message) || !strings.HasPrefix(failure.Message, "p.rego:3: eval_builtin_error") {
		t.Errorf("got %.200v, want a short cause", failure)
	}
	p = compile(t, raw.Source{Modules: map[string]string{
		"p.rego": "package policies.p\n\ndeny contains \"x\" if startswith({\"" + strings.Repeat("a", 100_000) + "\": 1}, \"a\")\n",
	}}).Policy("p")
	if failure := p.Failure(); failure == nil || len(failure.Message) > 3300 {
		t.Errorf("got %d bytes, want a short cause", len(failure.Message))
	}
}
