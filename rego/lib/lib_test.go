package lib_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/rego/lib"
)

func TestMain(m *testing.M) {
	builtins.Register() // OPA's tables are global: before any test compiles
	os.Exit(m.Run())
}

const testSuffix = "_test.rego"

// TestRego runs the tests that stand beside the rules, and holds them to
// evaluating every line of the rules.
func TestRego(t *testing.T) {
	t.Parallel()
	modules := parsed(t)
	coverage := cover.New()
	store := inmem.New()
	txn := storage.NewTransactionOrDie(t.Context(), store)
	defer store.Abort(t.Context(), txn)
	// An error of a builtin fails a test, as it would end a decision.
	results, err := tester.NewRunner().SetStore(store).SetCompiler(newCompiler()).SetModules(modules).
		SetCoverageQueryTracer(coverage).RaiseBuiltinErrors(true).CapturePrintOutput(true).SetTimeout(time.Minute).
		RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	passed, total := 0, 0
	for result := range results {
		good, all := cases(result)
		passed, total = passed+good, total+all
		switch {
		case result.Error != nil:
			t.Errorf("%s: %s.%s: %v", result.Location, result.Package, result.Name, result.Error)
		case !result.Pass():
			t.Errorf("%s: %s\n%s", result.Location, result, result.Output)
		}
	}
	fmt.Printf("PASS %d/%d\n", passed, total)
	if total == 0 {
		t.Error("got no tests")
	}
	checkCoverage(t, coverage, modules)
}

// cases counts the rows of a table, or the test itself, that passed and in all.
func cases(result *tester.Result) (passed, total int) {
	for _, row := range result.SubResults.Iter {
		total++
		if !row.Fail {
			passed++
		}
	}
	if total > 0 {
		return passed, total
	}
	if result.Pass() {
		return 1, 1
	}
	return 0, 1
}

func checkCoverage(t *testing.T, coverage *cover.Cover, modules map[string]*ast.Module) {
	t.Helper()
	var gaps []string
	for path, file := range coverage.Report(modules).Files {
		for _, gap := range file.NotCovered {
			if !strings.HasSuffix(path, testSuffix) {
				gaps = append(gaps, fmt.Sprintf("%s:%d: no test evaluates lines %[2]d to %d", path, gap.Start.Row, gap.End.Row))
			}
		}
	}
	slices.Sort(gaps)
	for _, gap := range slices.Compact(gaps) {
		t.Error(gap)
	}
}

func TestModulesAreFormatted(t *testing.T) {
	t.Parallel()
	for path, text := range texts(t) {
		formatted, err := format.SourceWithOpts(path, text, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(formatted, text) {
			t.Errorf("%s is not formatted, run opa fmt -w", path)
		}
	}
}

func TestModulesCompileStrictly(t *testing.T) {
	t.Parallel()
	compiler := newCompiler()
	if compiler.Compile(parsed(t)); compiler.Failed() {
		t.Error(compiler.Errors)
	}
}

// TestModulesAreDocumented wants a title and a description of every package and
// of every rule without a leading underscore, and one entrypoint in all.
func TestModulesAreDocumented(t *testing.T) {
	t.Parallel()
	var entrypoints []string
	for path, module := range parsed(t) {
		if strings.HasSuffix(path, testSuffix) {
			continue
		}
		documented := map[string]bool{}
		for _, a := range module.Annotations {
			documented[a.GetTargetPath().String()] = a.Title != "" && a.Description != ""
			if a.Entrypoint {
				entrypoints = append(entrypoints, a.GetTargetPath().String())
			}
		}
		want := []string{module.Package.Path.String()}
		for _, rule := range module.Rules {
			if name := rule.Head.Ref()[0].Value.String(); !strings.HasPrefix(strings.Trim(name, `"`), "_") {
				want = append(want, module.Package.Path.Append(ast.StringTerm(strings.Trim(name, `"`))).String())
			}
		}
		for _, name := range want {
			if !documented[name] {
				t.Errorf("%s: %s has no METADATA with title and description", path, name)
			}
		}
	}
	if want := []string{"data.assay.admission.decision"}; !slices.Equal(entrypoints, want) {
		t.Errorf("entrypoints: got %v, want %v", entrypoints, want)
	}
}

func TestModulesLeaveOutTests(t *testing.T) {
	t.Parallel()
	modules, err := lib.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range texts(t) {
		got, ok := modules["lib/"+path]
		if want := !strings.HasSuffix(path, testSuffix); ok != want || ok && got != string(text) {
			t.Errorf("lib/%s: got it %t, want it %t, with the text of the file", path, ok, want)
		}
	}
}

// newCompiler is as strict as the engine: OPA's capabilities and our builtins.
func newCompiler() *ast.Compiler {
	capabilities := ast.CapabilitiesForThisVersion()
	for _, b := range builtins.Declarations() {
		if !slices.ContainsFunc(capabilities.Builtins, func(known *ast.Builtin) bool { return known.Name == b.Name }) {
			capabilities.Builtins = append(capabilities.Builtins, b)
		}
	}
	return ast.NewCompiler().WithCapabilities(capabilities).WithStrict(true)
}

// parsed are all modules of the room, tests too.
func parsed(t *testing.T) map[string]*ast.Module {
	t.Helper()
	out := map[string]*ast.Module{}
	for path, text := range texts(t) {
		module, err := ast.ParseModuleWithOpts(path, string(text), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		out[path] = module
	}
	return out
}

func texts(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := fs.WalkDir(os.DirFS("."), "assay", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		out[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("got %d modules and error %v", len(out), err)
	}
	return out
}
