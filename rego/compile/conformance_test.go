package compile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/cip"
)

// TestConformanceCompile compiles all real policies that parse.
func TestConformanceCompile(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the directory of the real policies")
	}
	for _, folder := range []string{"valid", "catalog", "measured"} {
		root := filepath.Join(data, "policies", folder)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata": // other kinds
				return fs.SkipDir
			case filepath.Ext(path) == ".yaml":
				t.Run(strings.TrimPrefix(path, filepath.Dir(root)+"/"), func(t *testing.T) { compileFile(t, path) })
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func compileFile(t *testing.T, path string) {
	t.Parallel()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := cip.Parse(text)
	if err != nil {
		t.Skipf("no policy: %v", err)
	}
	checkOrRefused(t, docs.Policies)
}
