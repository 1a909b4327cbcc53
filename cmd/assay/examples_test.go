package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
)

const examples = "../../examples"

// exampleNames are the directories of the examples.
func exampleNames(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		if entry.IsDir() {
			out = append(out, entry.Name())
		}
	}
	return out
}

// TestExamples tells one story of each.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, name := range exampleNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkCases(t, filepath.Join(examples, name))
			testscript.Run(t, testscript.Params{
				Files:               []string{filepath.Join("testdata", "examples", "example.txtar")},
				RequireExplicitExec: true,
				Setup: func(env *testscript.Env) error {
					dir, err := filepath.Abs(filepath.Join(examples, name))
					env.Setenv("EXAMPLE", dir)
					return err
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){"opa": commandN("ARG…", runStock)},
			})
		})
	}
}

// checkCases wants an example to be tested with images that it allows and with more
// that it denies: who takes a policy takes it for what it denies.
func checkCases(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "tests", "*_test.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: got %d fixtures, %v, want at least one", dir, len(files), err)
	}
	allowed, denied := 0, 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := fixture.Parse(file, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range parsed.Cases {
			if c.Want.Allowed {
				allowed++
			} else {
				denied++
			}
		}
	}
	if allowed == 0 || denied < 3 {
		t.Errorf("%s: got %d cases that are allowed and %d that are denied, want some of both", dir, allowed, denied)
	}
}
