// Package lib holds the hand-written Rego: how a decision is made of what the
// policies say. It is compiled into every policy set; `assay compile` prints
// what is compiled beside it.
package lib

import (
	"embed"
	"io/fs"
)

//go:embed assay
var files embed.FS

// Modules are the modules by their path, tests left out.
func Modules() (map[string]string, error) {
	out := map[string]string{}
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || isTest(path) {
			return err
		}
		text, err := files.ReadFile(path)
		out["lib/"+path] = string(text)
		return err
	})
	return out, err
}

func isTest(path string) bool {
	const suffix = "_test.rego"
	return len(path) > len(suffix) && path[len(path)-len(suffix):] == suffix
}
