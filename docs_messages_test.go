package assay_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// said are the texts that tests want of the program, goldens included.
func said(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !isTest(path) || path == "docs_messages_test.go" {
			return err
		}
		all.WriteString(read(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(all.String(), `\"`, `"`)
}

// TestDocsOfMessagesAreSaid wants what the table of messages puts into the mouth of
// assay in some test: each span of its second column, in the parts between "…".
func TestDocsOfMessagesAreSaid(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(read(t, "docs/moving-from-policy-controller.md"), "| policy-controller says | assay says | code |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/moving-from-policy-controller.md: got no table of messages")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	texts, checked := said(t), 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 {
			t.Errorf("got %d cells, want 3: %s", len(cells), line)
			continue
		}
		for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			for part := range strings.SplitSeq(span[1], "…") {
				part = strings.Trim(part, " :;,")
				if len(part) < 8 {
					continue
				}
				if checked++; !strings.Contains(texts, part) {
					t.Errorf("got %q in the table, which no test wants of assay", part)
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("got %d texts, want those of the table", checked)
	}
}
