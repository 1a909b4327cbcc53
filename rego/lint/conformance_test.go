package lint_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/lint"
)

// TestConformanceFindings lints policies that were deployed, each file for
// itself, and logs how often each rule has something to say: a rule that speaks
// more often than its reader can defend is wrong. Of errors it wants proof.
func TestConformanceFindings(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the directory of the real policies")
	}
	var roots []lint.File
	for _, file := range policyFiles(t, filepath.Join(data, "trust", "trustroots")) {
		roots = append(roots, parseFile(t, file)...)
	}
	for _, dir := range []string{"catalog", "valid", "measured"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			counts, files := map[string]int{}, 0
			for _, file := range policyFiles(t, filepath.Join(data, "policies", dir)) {
				for _, parsed := range parseFile(t, file) {
					files++
					for _, f := range lint.Run(append(slices.Clone(roots), parsed)) {
						counts[string(f.Severity)+" "+f.Rule]++
						checkFinding(t, data, f)
					}
				}
			}
			var lines []string
			for _, key := range slices.Sorted(maps.Keys(counts)) {
				lines = append(lines, fmt.Sprintf("%4d %s", counts[key], key))
			}
			t.Logf("%d files:\n%s", files, strings.Join(lines, "\n"))
			if files == 0 {
				t.Error("got no policies")
			}
		})
	}
}

// checkFinding wants the line of a finding to hold what the finding speaks of.
func checkFinding(t *testing.T, data string, f lint.Finding) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(data, f.File))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	if f.Line < 1 || f.Line > len(lines) {
		t.Fatalf("%s: got line %d of %d", f.File, f.Line, len(lines))
	}
	field := f.Path[strings.LastIndexByte(f.Path, '.')+1:]
	if field, _, element := strings.Cut(field, "["); !element && !strings.Contains(lines[f.Line-1], field) {
		t.Errorf("%s:%d: got %q, want a line with %s", f.File, f.Line, lines[f.Line-1], field)
	}
}

// parseFile returns no file where policies are refused.
func parseFile(t *testing.T, path string) []lint.File {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, err := filepath.Rel(os.Getenv("ASSAY_CONFORMANCE_DATA"), path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := lint.Parse(name, content)
	if err != nil {
		return nil
	}
	return []lint.File{file}
}

// policyFiles leaves out testdata directories, which hold other kinds.
func policyFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case filepath.Ext(path) == ".yaml":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
