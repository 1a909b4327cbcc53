package why

import (
	"strings"
	"testing"
	"unicode"

	"github.com/assay-dev/assay/rego"
)

// printed is what is printed of a tree.
func printed(t *testing.T, decision rego.Decision, tree rego.Explanation) string {
	t.Helper()
	var out strings.Builder
	if err := Print(&out, decision, tree); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile is a tree of which every text was written by somebody else.
func hostile(text string, depth int) rego.Explanation {
	out := rego.Explanation{
		What: "policy", Name: text, Code: text, Outcome: text, Mode: text, Path: text, Text: text, Hint: text,
		Source:  &rego.Place{Path: text, Line: 1, Field: text},
		Looked:  []rego.Looked{{Format: text, At: []string{text}}},
		Differs: []rego.Difference{{What: text, Got: text, Want: text}},
	}
	if depth > 0 {
		for _, what := range []string{"image", "policy", "authority", "attestation", "statement", "signature", "rule", "glob", "inside", text} {
			child := hostile(text, depth-1)
			child.What = what
			out.Because = append(out.Because, child)
		}
	}
	return out
}

func TestNothingThatDoesNotPrintIsPrinted(t *testing.T) {
	t.Parallel()
	const text = "a\x1b[2J\nadmitted\r\u202eb\x9b\xff"
	got := printed(t, rego.Decision{Images: []rego.Image{{
		Path: text, Image: text, Digest: text, Manifest: "index",
		Policies: []rego.Policy{{Name: text, Authorities: []rego.Authority{{Name: text, Outcome: "passed", Signers: []rego.Signer{{Subject: text}}}}}},
	}}}, hostile(text, 3))
	for line := range strings.Lines(got) {
		if line = strings.TrimSuffix(line, "\n"); strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("got %q, want what prints", line)
		}
		if strings.TrimSpace(line) == "admitted" {
			t.Fatal("got a line that somebody else wrote")
		}
	}
}

func TestVerdictIsThatOfTheDecision(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allowed    bool
		code, want string
	}{
		{true, "admitted", "admitted\n"}, {true, "exempt", "admitted: exempt, the request runs nothing new\n"}, {true, "denied", "admitted\n"},
		{false, "denied", "denied\n"}, {false, "admitted", "denied\n"}, {false, "exempt", "denied\n"}, {false, "", "denied\n"},
	} {
		if got := printed(t, rego.Decision{Allowed: tt.allowed}, rego.Explanation{Code: tt.code}); got != tt.want {
			t.Errorf("allowed %v, code %s: got %q, want %q", tt.allowed, tt.code, got, tt.want)
		}
	}
}

func TestLinesAreBrokenAtAHundredColumns(t *testing.T) {
	t.Parallel()
	got := printed(t, rego.Decision{}, rego.Explanation{Code: "denied", Because: []rego.Explanation{{
		What: "image", Name: "x", Because: []rego.Explanation{{What: "policy", Because: []rego.Explanation{{
			What: "authority", Name: "a", Code: "c", Outcome: "failed", Text: strings.Repeat("word ", 100),
		}}}},
	}}})
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
			t.Errorf("got %d columns, want at most %d: %s", n, width, line)
		}
	}
}

func TestMissesBehindTheNearestAreCounted(t *testing.T) {
	t.Parallel()
	miss := func(code string) rego.Explanation {
		return rego.Explanation{What: "signature", Name: "sha256:1", Code: code, Outcome: "failed", Hint: "m " + code, Differs: []rego.Difference{}}
	}
	got := printed(t, rego.Decision{}, rego.Explanation{Because: []rego.Explanation{{What: "image", Because: []rego.Explanation{{
		What: "policy", Because: []rego.Explanation{{
			What: "authority", Because: []rego.Explanation{miss("expired"), miss("tlog"), miss("tlog"), miss("malformed")},
		}},
	}}}}})
	if want := "        and further away: 2 tlog, 1 malformed\n"; !strings.Contains(got, want) || !strings.Contains(got, "m expired") || strings.Contains(got, "m tlog") {
		t.Errorf("got\n%swant %q", got, want)
	}
}
