package assay_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExamplesAreInTheTable holds examples/README.md to the folders, and each policy
// to what a reader has to know before taking it.
func TestExamplesAreInTheTable(t *testing.T) {
	t.Parallel()
	var documented, present []string
	for _, row := range regexp.MustCompile(`(?m)^\| \[([a-z-]+)\]\(([^)]+)\) \|`).FindAllStringSubmatch(read(t, "examples/README.md"), -1) {
		documented = append(documented, row[1])
		if filepath.Dir(row[2]) != row[1] {
			t.Errorf("examples/README.md: %s: got a link to %s, want one to its policy", row[1], row[2])
		}
		top, _, _ := strings.Cut(read(t, filepath.Join("examples", row[2])), "\n\n# METADATA")
		for _, want := range []string{"\n#\n# Use it ", "not protect "} {
			if !strings.HasPrefix(top, "# ") || !strings.Contains(top, want) {
				t.Errorf("examples/%s: got no comment on top with %q, want one", row[2], want)
			}
		}
	}
	entries, err := os.ReadDir("examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			present = append(present, entry.Name())
		}
	}
	same(t, "examples/README.md", documented, present)
	if len(present) < 10 {
		t.Errorf("got %d examples, want ten", len(present))
	}
}
