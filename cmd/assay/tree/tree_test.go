package tree_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/tree"
)

func TestFilesStayBelowTheDirectory(t *testing.T) {
	t.Parallel()
	above := t.TempDir()
	dir := filepath.Join(above, "new", "dir")
	for _, name := range []string{"../out", "a/../../out", "/out", ""} {
		if err := tree.Write(dir, map[string][]byte{name: []byte("x")}); err == nil {
			t.Errorf("%q: got it written, want it refused", name)
		}
	}
	if entries, err := os.ReadDir(above); err != nil || len(entries) > 0 {
		t.Errorf("got %v, %v, want nothing written", entries, err)
	}
}

func TestWriteReplacesItsFilesAndNoOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	if err := tree.Write(dir, map[string][]byte{"a/b/c": []byte("old"), "other": []byte("other")}); err != nil {
		t.Fatal(err)
	}
	if err := tree.Write(dir, map[string][]byte{"a/b/c": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/b/c": "new", "other": "other"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}
