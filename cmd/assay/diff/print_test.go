package diff

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostile is what somebody may write into a name, a message or an annotation.
const hostile = "@everyone #1 [x](https://evil.example) <img src=x> | **bold** ```\n# heading\n\x1b[31mred\x00\u202egnp\n| a | b |\n</details> `a` ``b``"

func TestMarkdownHasNothingOfOthersButCode(t *testing.T) {
	t.Parallel()
	result := Result{Workloads: 2, Changes: []Change{{
		Workload: "Pod " + hostile, Old: Judgment{Verdict: "allowed"}, New: Judgment{Verdict: "denied", Reasons: []string{hostile}, Warnings: []string{"`"}},
	}}}
	var out strings.Builder
	if err := result.print(&out, "markdown"); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	if strings.ContainsAny(rest, "\x00\x1b\u202e") {
		t.Errorf("got control characters in %q", rest)
	}
	// What is left when all code is taken out is ours alone.
	for _, fence := range []*regexp.Regexp{regexp.MustCompile("(?s)\n````diff\n.*?\n````\n"), regexp.MustCompile("(?m)```` Pod .*? ````")} {
		if !fence.MatchString(rest) {
			t.Fatalf("got no %s in\n%s", fence, rest)
		}
		rest = fence.ReplaceAllString(rest, "CODE")
	}
	want := "### assay diff: 1 of 2 workloads change\n\n| workload | old | new |\n|---|---|---|\n| CODE | allowed | denied |\n\nCODE: allowed becomes denied\nCODE"
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, out.String())
	}
}

func TestSpanStaysInItsCellAndOnItsLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "`  `",
		"a|b":         "`a\\|b`",
		"a\n\nb":      "`a b`",
		"`":           "`` ` ``",
		"a``b":        "```a``b```",
		"\x1b[1mx":    "`\uFFFD[1mx`",
		"\xff":        "`\uFFFD`",
		"ends with `": "`` ends with ` ``",
	} {
		if got := span(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestMarkdownFitsAComment(t *testing.T) {
	t.Parallel()
	var result Result
	for i := range 5000 {
		result.Workloads++
		result.Changes = append(result.Changes, Change{
			Workload: fmt.Sprint("Pod ", i), Old: Judgment{Verdict: "allowed"}, New: Judgment{Verdict: "denied", Reasons: []string{strings.Repeat("x", 200)}},
		})
	}
	got := result.markdown()
	if len(got) > 65_536 {
		t.Errorf("got %d bytes, want at most 65536", len(got))
	}
	for _, want := range []string{"5000 of 5000 workloads change", " more change.\n", "The details of "} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q", want)
		}
	}
}

func TestUnknownIsAlwaysAChange(t *testing.T) {
	t.Parallel()
	unknown := Judgment{Verdict: "unknown", NotRecorded: []string{"a"}}
	if !(Change{Old: unknown, New: unknown}).differs() {
		t.Error("got unknown before and after taken for no change")
	}
	same := Judgment{Verdict: "denied", Reasons: []string{"a"}}
	if (Change{Old: same, New: same}).differs() {
		t.Error("got a change of nothing")
	}
	if other := (Judgment{Verdict: "denied", Reasons: []string{"b"}}); !(Change{Old: same, New: other}).differs() {
		t.Error("got another reason taken for no change")
	}
}

func FuzzSpan(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, text string) {
		got := span(text)
		marks := got[:len(got)-len(strings.TrimLeft(got, "`"))]
		inside := strings.TrimSuffix(strings.TrimPrefix(got, marks), marks)
		if strings.Contains(got, "\n") || longestRun(inside) >= len(marks) || strings.Contains(strings.ReplaceAll(inside, `\|`, ""), "|") {
			t.Errorf("%q: got %q, which leaves its code or its cell", text, got)
		}
	})
}
