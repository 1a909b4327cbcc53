package cip_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// conformanceData returns the directory of the real resources.
func conformanceData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if dir == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the directory of the real policies")
	}
	return dir
}

// measured is what policy-controller's API types said of a file.
type measured struct {
	File                    string
	ExpectedErrorContains   []string
	MeasuredDecodeError     string
	MeasuredValidateError   string
	MeasuredValidateWarning string
}

func TestConformanceValidation(t *testing.T) {
	t.Parallel()
	data := conformanceData(t)
	for _, dir := range []string{"valid", "invalid"} {
		dir := filepath.Join(data, "policies", dir)
		var cases []measured
		if err := json.Unmarshal(readFile(t, filepath.Join(dir, "expected.json")), &cases); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(filepath.Base(dir)+"/"+c.File, func(t *testing.T) {
				t.Parallel()
				docs, err := cip.Parse(readFile(t, filepath.Join(dir, c.File)))
				checkMeasured(t, c, docs, err)
			})
		}
	}
}

func checkMeasured(t *testing.T, c measured, docs *cip.Documents, err error) {
	t.Helper()
	refused := c.MeasuredDecodeError != "" || c.MeasuredValidateError != "" || len(c.ExpectedErrorContains) > 0
	if !refused {
		if err != nil {
			t.Fatalf("got error %v, want none", err)
		}
		_, warning, _ := strings.Cut(strings.Join(docs.Warnings, "\n"), ": ")
		if diff := cmp.Diff(c.MeasuredValidateWarning, warning); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		return
	}
	var failure *cip.DocumentError
	if !errors.As(err, &failure) {
		t.Fatalf("got error %v, want a DocumentError", err)
	}
	for _, want := range append(c.ExpectedErrorContains, c.MeasuredDecodeError) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want it to contain %q", err, want)
		}
	}
	if c.MeasuredDecodeError == "" {
		if diff := cmp.Diff(c.MeasuredValidateError, failure.Invalid.Error()); diff != "" {
			t.Errorf("validation (-want +got):\n%s", diff)
		}
		return
	}
	// Upstream validated what was left after the decoding error, and of a list
	// the last element only. We report every element, in one merged entry.
	_, paths, _ := strings.Cut(c.MeasuredValidateError, ": ")
	for want := range strings.SplitSeq(paths, ", ") {
		if !strings.Contains(failure.Invalid.Error(), want) {
			t.Errorf("got validation %v, want it to name %s", failure.Invalid, want)
		}
	}
}

// TestConformanceAccepted parses all policies and trust roots that were deployed.
func TestConformanceAccepted(t *testing.T) {
	t.Parallel()
	data := conformanceData(t)
	// A template whose TrustRoot holds placeholders instead of certificates.
	template := filepath.Join("policies", "catalog", "templates", "keyless-signature-custom-tsa.yaml")
	for _, dir := range []string{"policies/catalog", "policies/measured", "trust/trustroots"} {
		for _, file := range yamlFiles(t, filepath.Join(data, dir)) {
			t.Run(strings.TrimPrefix(file, data), func(t *testing.T) {
				t.Parallel()
				docs, err := cip.Parse(readFile(t, file))
				switch {
				case strings.HasSuffix(file, template):
					if err == nil || !strings.Contains(err.Error(), "illegal base64 data") {
						t.Fatalf("got error %v, want illegal base64 data", err)
					}
				case err != nil:
					t.Fatal(err)
				case len(docs.Policies)+len(docs.TrustRoots) == 0:
					t.Fatal("got no resources")
				}
			})
		}
	}
}

// yamlFiles leaves out testdata directories, which hold other kinds.
func yamlFiles(t *testing.T, dir string) []string {
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
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files in %s and error %v", len(files), dir, err)
	}
	slices.Sort(files)
	return files
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
