package assay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/rego"
)

// section is the part of a page under a heading of the second level.
func section(text, heading string) string {
	_, rest, _ := strings.Cut(text, "\n## "+heading+"\n")
	out, _, _ := strings.Cut(rest, "\n## ")
	return out
}

func TestDocsListEveryReason(t *testing.T) {
	t.Parallel()
	var reasons []string
	for _, reason := range rego.Reasons() {
		reasons = append(reasons, string(reason))
	}
	page := read(t, "docs/explain.md")
	same(t, "docs/explain.md", codeSpans(section(page, "Codes")), reasons)
	whats := []string{"what", "glob", "resource", "label"} // the head, and those of the library
	for _, what := range miss.Whats() {
		whats = append(whats, string(what))
	}
	same(t, "docs/explain.md", codeSpans(section(page, "What differs")), whats)
}

// TestDocsOfExplanationsAreTold: each tree on the page is that of a story.
func TestDocsOfExplanationsAreTold(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var stories strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stories.Write(text)
	}
	trees := blocks(read(t, "docs/explain.md"), "text")
	if len(trees) < 3 {
		t.Errorf("got %d trees, want those of the page", len(trees))
	}
	for _, tree := range trees {
		if !strings.Contains(stories.String(), "-- want/explain --\n"+tree) {
			t.Errorf("docs/explain.md: no story has\n%s", tree)
		}
	}
}
