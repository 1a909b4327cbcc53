package compile_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
	"github.com/assay-dev/assay/rego/lib"
)

// checkModules holds compiled policies to what every one of them is: formatted,
// strict Rego that stands beside the library and says what the policy says.
func checkModules(t *testing.T, policies []cip.Policy) {
	t.Helper()
	newCompiler(t, policies)
	for _, p := range policies {
		module, err := compile.Policy(p)
		if err != nil {
			t.Fatal(err)
		}
		checkValues(t, p, parse(t, module))
	}
}

// parse also wants the text to be what opa fmt leaves alone.
func parse(t *testing.T, module compile.Module) *ast.Module {
	t.Helper()
	out, err := ast.ParseModuleWithOpts(module.Path, module.Text, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, module.Text)
	}
	formatted, err := format.SourceWithOpts(module.Path, []byte(module.Text), format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(formatted), module.Text); diff != "" {
		t.Errorf("%s is not formatted (-formatted +got):\n%s", module.Path, diff)
	}
	return out
}

// newCompiler compiles policies, their index and the library, strictly.
func newCompiler(t testing.TB, policies []cip.Policy) *ast.Compiler {
	t.Helper()
	modules := map[string]*ast.Module{}
	add := func(path, text string) {
		if modules[path] != nil {
			t.Fatalf("got two modules at %s", path)
		}
		module, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		modules[path] = module
	}
	library, err := lib.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range library {
		add(path, text)
	}
	for _, p := range policies {
		module, err := compile.Policy(p)
		if err != nil {
			t.Fatal(err)
		}
		add(module.Path, module.Text)
	}
	index, err := compile.Index(policies)
	if err != nil {
		t.Fatal(err)
	}
	add(index.Path, index.Text)
	capabilities := ast.CapabilitiesForThisVersion()
	for _, b := range builtins.Declarations() {
		if !slices.ContainsFunc(capabilities.Builtins, func(known *ast.Builtin) bool { return known.Name == b.Name }) {
			capabilities.Builtins = append(capabilities.Builtins, b)
		}
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities).WithStrict(true)
	if compiler.Compile(modules); compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	return compiler
}

// evaluate gives the value of a query whose input is {"image": image}.
func evaluate(t *testing.T, policies []cip.Policy, image, query string) any {
	t.Helper()
	results, err := rego.New(rego.Compiler(newCompiler(t, policies)), rego.Query(query), rego.StrictBuiltinErrors(true),
		rego.Input(map[string]any{"image": image})).Eval(t.Context())
	if err != nil || len(results) != 1 {
		t.Fatalf("%s: got %d results and error %v", query, len(results), err)
	}
	return results[0].Expressions[0].Value
}

// checkValues reads the literals of a module back and wants the policy's values.
func checkValues(t *testing.T, p cip.Policy, module *ast.Module) {
	t.Helper()
	got := map[string]any{"name": string(module.Package.Path[2].Value.(ast.String))}
	authorities, selectors := []any{}, []any{}
	for _, rule := range module.Rules {
		switch name := rule.Head.Ref()[0].Value.String(); name {
		case "mode":
			got["mode"] = value(t, rule.Head.Value)
		case "authorities":
			call := rule.Head.Value.Value.(ast.Call)
			authorities = append(authorities, value(t, call[len(call)-1]))
		}
	}
	ast.WalkExprs(module, func(e *ast.Expr) bool {
		if e.IsCall() && e.Operator().String() == "match.selects" {
			selectors = append(selectors, value(t, e.Operand(0)))
		}
		return false
	})
	got["authorities"], got["selectors"] = authorities, selectors
	want := []cip.LabelSelector{}
	for _, m := range p.Spec.Match {
		if m.Resource != "" && m.Selector != nil {
			want = append(want, *m.Selector)
		}
	}
	spec := map[string]any{"name": p.Name, "mode": p.Spec.Mode, "authorities": p.Spec.Authorities, "selectors": want}
	if diff := cmp.Diff(plain(t, spec), plain(t, got)); diff != "" {
		t.Errorf("%s: values (-policy +module):\n%s", p.Name, diff)
	}
}

func value(t *testing.T, term *ast.Term) any {
	t.Helper()
	out, err := ast.JSON(term.Value)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// plain is what JSON makes of a value.
func plain(t *testing.T, value any) any {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := util.UnmarshalJSON(encoded, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
