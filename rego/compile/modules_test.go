package compile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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
		parsed := parse(t, module)
		checkValues(t, p, parsed)
		checkRules(t, p, parsed)
	}
}

// checkRules wants a rule for each part of a policy, no others, and no call but of
// the library and of what globs are compared with: a text that ended its literal
// would have to add one.
func checkRules(t *testing.T, p cip.Policy, module *ast.Module) {
	t.Helper()
	got := map[string]int{}
	for _, rule := range module.Rules {
		got[rule.Head.Ref()[0].Value.String()]++
	}
	want := map[string]int{
		"mode": 1, "matched": 1 + len(p.Spec.Images), "_resource_matched": len(p.Spec.Match),
		"authorities": len(p.Spec.Authorities), "policy": 1,
	}
	_, judges := wantAuthorities(p)
	if _, gap := p.Gaps["spec.policy"]; p.Spec.Policy != nil && !gap {
		want["_judge"] = 1
	}
	want["_judges"] = len(judges) - want["_judge"]
	for _, optional := range []string{"includes", "verifies"} {
		want[optional] = min(got[optional], 1)
	}
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: rules (-policy +module):\n%s", p.Name, diff)
	}
	known := []string{
		"eq", "equal", "regex.match", "startswith", "match.selects", "policies.judge", "policies.unresolved",
		"verify.attestations", "verify.signatures", "verify.static", "verify.unresolved",
	}
	ast.WalkTerms(module, func(term *ast.Term) bool {
		if call, ok := term.Value.(ast.Call); ok && !slices.Contains(known, call[0].String()) {
			t.Errorf("%s: got a call of %s, want one of %v", p.Name, call[0], known)
		}
		return false
	})
	ast.WalkExprs(module, func(e *ast.Expr) bool {
		if e.IsCall() && !slices.Contains(known, e.Operator().String()) || len(e.With) > 0 || e.Negated {
			t.Errorf("%s: got %s, want a call of one of %v", p.Name, e, known)
		}
		return false
	})
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
	authorities, selectors, judges := []any{}, []any{}, []any{}
	for _, rule := range module.Rules {
		switch name := rule.Head.Ref()[0].Value.String(); name {
		case "mode":
			got["mode"] = value(t, rule.Head.Value)
		case "authorities":
			authorities = append(authorities, authorityOf(t, rule.Head.Value.Value.(ast.Call)))
		case "_judges", "_judge":
			judges = append(judges, value(t, rule.Head.Value))
		}
	}
	ast.WalkExprs(module, func(e *ast.Expr) bool {
		if e.IsCall() && e.Operator().String() == "match.selects" {
			selectors = append(selectors, value(t, e.Operand(0)))
		}
		return false
	})
	got["authorities"], got["selectors"], got["judges"] = authorities, selectors, judges
	want := []cip.LabelSelector{}
	for _, m := range p.Spec.Match {
		if m.Resource != "" && m.Selector != nil {
			want = append(want, *m.Selector)
		}
	}
	spec := map[string]any{"name": p.Name, "mode": p.Spec.Mode, "selectors": want}
	spec["authorities"], spec["judges"] = wantAuthorities(p)
	if diff := cmp.Diff(plain(t, spec), plain(t, got)); diff != "" {
		t.Errorf("%s: values (-policy +module):\n%s", p.Name, diff)
	}
}

// authorityOf is the authority in a call of the library: the object with a name, or
// the name and the cause of one that is not resolved.
func authorityOf(t *testing.T, call ast.Call) any {
	t.Helper()
	if call[0].String() == "verify.unresolved" {
		return []any{value(t, call[1]), value(t, call[2])}
	}
	for _, operand := range call[1:] {
		if object, ok := operand.Value.(ast.Object); ok && object.Get(ast.StringTerm("name")) != nil {
			return value(t, operand)
		}
	}
	t.Errorf("got %v, want an authority among the operands", call)
	return nil
}

// wantAuthorities are the authorities of a policy without the policies inside, and
// those: CUE by its text, Rego by the name of its module.
func wantAuthorities(p cip.Policy) (authorities, judges []any) {
	authorities, judges = []any{}, []any{}
	judge := func(r *cip.PolicyRef, module string) {
		out := map[string]any{"type": r.Type, "text": r.Data}
		if r.Type == "rego" {
			out = map[string]any{"type": r.Type, "module": module}
		}
		if strings.Contains(r.Data, "assay") {
			out["assay"] = true
		}
		judges = append(judges, out)
	}
	for i, a := range p.Spec.Authorities {
		if cause, ok := p.Gaps[fmt.Sprintf("spec.authorities[%d]", i)]; ok {
			authorities = append(authorities, []any{a.Name, cause})
			continue
		}
		a.Attestations = slices.Clone(a.Attestations)
		for j := range a.Attestations {
			if inside := a.Attestations[j].Policy; inside != nil {
				judge(inside, fmt.Sprintf("cip/%s/spec/authorities/%d/attestations/%d/policy", p.Name, i, j))
			}
			a.Attestations[j].Policy = nil
		}
		authorities = append(authorities, a)
	}
	if _, gap := p.Gaps["spec.policy"]; p.Spec.Policy != nil && !gap {
		judge(p.Spec.Policy, fmt.Sprintf("cip/%s/spec/policy", p.Name))
	}
	return authorities, judges
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
