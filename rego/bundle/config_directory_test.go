package bundle_test

import (
	"path/filepath"
	"testing"

	"github.com/assay-dev/assay/rego/bundle"
)

// A file:// URL of a relative place has its first segment for a host.
func TestThePersistenceDirectoryIsAbsolute(t *testing.T) {
	t.Parallel()
	want, err := filepath.Abs("kept")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := bundle.PersistenceDirectory([]byte(`{"persistence_directory": "./kept"}`)); err != nil || got != want {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}
