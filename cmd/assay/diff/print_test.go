package diff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
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

func TestMarkdownFitsACommentWhateverNamesAre(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{"letters": "x", "backquotes": "`", "pipes": "|", "wide": "日"} {
		var result Result
		for range 200 {
			result.Workloads++
			result.Changes = append(result.Changes, Change{
				Workload: "Pod " + strings.Repeat(unit, 40_000), Old: Judgment{Verdict: "allowed"}, New: Judgment{Verdict: "denied"},
			})
		}
		got := result.markdown()
		if len(got) > 65_536 || !strings.Contains(got, "| allowed | denied |") {
			t.Errorf("%s: got %d bytes, want at most 65536 with a row", name, len(got))
		}
	}
}

func TestUnknownIsAlwaysAChange(t *testing.T) {
	t.Parallel()
	unknown := Judgment{Verdict: "unknown", NotRecorded: []string{"a"}}
	if !(Change{Old: unknown, New: unknown}).differs() {
		t.Error("got unknown before and after taken for no change")
	}
	undecided := Judgment{Verdict: "undecided", Error: "context deadline exceeded"}
	if c := (Change{Old: undecided, New: undecided}); !c.differs() || c.verdicts() != "undecided before and after" || len(c.lines()) != 2 {
		t.Errorf("got %v, %q and %q, want no decision taken for a change, and told", c.differs(), c.verdicts(), c.lines())
	}
	same := Judgment{Verdict: "denied", Reasons: []string{"a"}}
	if (Change{Old: same, New: same}).differs() {
		t.Error("got a change of nothing")
	}
	if other := (Judgment{Verdict: "denied", Reasons: []string{"b"}}); !(Change{Old: same, New: other}).differs() {
		t.Error("got another reason taken for no change")
	}
}

func TestDenialForWantOfAnAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	by := func(code string) rego.Decision {
		return rego.Decision{Reasons: []string{"failed policy: a"}, Images: []rego.Image{{Policies: []rego.Policy{{
			Outcome: "failed", Authorities: []rego.Authority{{Error: &rego.Error{Code: code, Message: "registry a: " + code}}},
		}}}}}
	}
	for name, tt := range map[string]struct {
		decision rego.Decision
		want     string
	}{
		"unreachable":                   {by("unreachable"), "unknown"},
		"unauthorized":                  {by("unauthorized"), "unknown"},
		"no signatures":                 {by("no_signatures"), "denied"},
		"no tag":                        {rego.Decision{Reasons: []string{"invalid value: a must be an image digest: x\nnot_found: a"}}, "denied"},
		"a tag of nobody":               {rego.Decision{Reasons: []string{"invalid value: a must be an image digest: x\nunreachable: registry a"}}, "unknown"},
		"admitted by another authority": {func() rego.Decision { d := by("timeout"); d.Allowed = true; return d }(), "allowed"},
	} {
		got := judgment(tt.decision, nil, nil)
		if got.Verdict != tt.want {
			t.Errorf("%s: got %s, want %s", name, got.Verdict, tt.want)
		}
		if c := (Change{Old: got, New: got}); tt.want == "unknown" && (!c.differs() || len(c.lines()) == 0) {
			t.Errorf("%s: got %v and %q, want it told", name, c.differs(), c.lines())
		}
	}
}

func TestNoTextIsALineOfOurs(t *testing.T) {
	t.Parallel()
	result := Result{Workloads: 1, Changes: []Change{{
		Workload: "Pod a\nnone of 9 workloads changes", Old: Judgment{Verdict: "allowed"}, New: Judgment{Verdict: "denied", Reasons: []string{"no\n+ yes"}},
	}}}
	for _, form := range []string{"text", "markdown"} {
		var out strings.Builder
		if err := result.print(&out, form); err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^(?:none of 9|\+ yes)`).MatchString(out.String()) {
			t.Errorf("%s: got a line of others in\n%s", form, out.String())
		}
	}
}

func TestListsOfAnyKind(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{"List": 2, "PodList": 2, "Pod": 1} {
		got, err := manifests([]byte(`{"kind": "`+kind+`", "items": [{"kind": "Pod"}, {"kind": "Pod"}]}`), "f", func(m []byte) ([]byte, error) { return m, nil })
		if err != nil || len(got) != want {
			t.Errorf("%s: got %d workloads and %v, want %d", kind, len(got), err, want)
		}
	}
}

func TestNoWorkloadIsNoComparison(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(file, []byte("kind: List\nitems: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := Program{Judges: func(context.Context, []string, []string, bool, io.Writer) (a, b Judge, err error) { return a, b, nil }}
	var out strings.Builder
	err := flags{old: []string{"a"}, new: []string{"b"}, output: "text"}.run(t.Context(), program, []string{file}, &out, &out)
	if err == nil || errors.Is(err, ErrChanges) {
		t.Errorf("got %v and %q, want no comparison", err, out.String())
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
