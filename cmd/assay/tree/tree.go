// Package tree writes files below a directory.
package tree

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Write writes files by their paths below a directory, which are local and have slashes.
// It replaces files of the same paths and leaves everything else.
func Write(dir string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		local, err := filepath.Localize(name)
		if err != nil {
			return &os.PathError{Op: "write", Path: name, Err: err}
		}
		file := filepath.Join(dir, local)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
