package assay_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What can be read in one sitting. A room that needs more wants a door.
const (
	maxFile     = 400
	maxFunction = 60
	maxPackage  = 2000
)

// TestFileLengths counts the lines of every Go and Rego file, and those of
// functions and packages without their tests.
func TestFileLengths(t *testing.T) {
	t.Parallel()
	packages := map[string]int{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".rego" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := bytes.Count(content, []byte("\n"))
		if lines > maxFile {
			t.Errorf("%s: got %d lines, want at most %d", path, lines, maxFile)
		}
		if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
			packages[filepath.Dir(path)] += lines
			checkFunctions(t, path, content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, lines := range packages {
		if lines > maxPackage {
			t.Errorf("%s: got %d lines in the package, want at most %d", dir, lines, maxPackage)
		}
	}
}

func checkFunctions(t *testing.T, path string, content []byte) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, content, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		start, end := files.Position(function.Pos()), files.Position(function.End())
		if lines := end.Line - start.Line + 1; lines > maxFunction {
			t.Errorf("%s: got %d lines in %s, want at most %d", start, lines, function.Name, maxFunction)
		}
	}
}
