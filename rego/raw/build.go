package raw

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/schema"
)

// workshop is what one policy is built from.
type workshop struct {
	policy ast.Ref
	own    []file
	files  []file // those, and the libraries that they refer to
	data   map[string]any
	store  storage.Store
	sum    []byte // see lot
	allow  Allow
	// placed says that there are labels of namespaces, and places that they are read.
	placed, places bool
}

// built is what a policy becomes.
type built struct {
	program *apart.Program
	asks    bool
	places  bool
}

// build compiles a policy, alone, and makes the program that gives its answers.
func (w *workshop) build(ctx context.Context) (made built, err error) {
	if err := w.misplaced(); err != nil {
		return made, err
	}
	answer, err := w.answer()
	if err != nil {
		return made, err
	}
	conflict, done, err := conflicts(ctx, w.store)
	if err != nil {
		return made, err
	}
	defer done()
	modules := map[string]*ast.Module{}
	for _, f := range w.files {
		modules[f.path] = f.module.Copy()
	}
	schemas, err := schema.Set(slices.Collect(maps.Values(modules))...)
	if err != nil {
		return made, err
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities(w.allow, joined(w.files))).WithPathConflictsCheck(conflict).
		WithSchemas(schemas).WithUseTypeCheckAnnotations(true)
	// References are resolved here, and locals have names of their own.
	compiler.WithStageAfterID(ast.StageRewriteLocalVars, ast.CompilerStageDefinition{
		Name: "CheckRaw", MetricName: "check_raw",
		Stage: func(c *ast.Compiler) *ast.Error { return w.examine(ctx, c.Modules) },
	})
	if compiler.Compile(modules); compiler.Failed() {
		return made, compiler.Errors
	}
	made.asks, made.places = asking(compiler), w.places
	made.program, err = apart.Prepare(compiler, w.store, answer)
	return made, err
}

// examine is what we ask of modules beyond what OPA does.
func (w *workshop) examine(ctx context.Context, modules map[string]*ast.Module) *ast.Error {
	all := make([]*ast.Module, 0, len(modules))
	for _, path := range slices.Sorted(maps.Keys(modules)) { // the cause that is told is always the same
		m := modules[path]
		if err := ctx.Err(); err != nil {
			return ast.NewError(ast.CompileErr, m.Package.Location, "%v", err)
		}
		if err := w.check(m, modules); err != nil {
			return err
		}
		if err := apart.CheckMocks(m); err != nil {
			return err
		}
		all = append(all, m)
	}
	return apart.CheckGrowth(all...)
}

// members are the rules that a policy answers with.
func members() []string { return []string{"deny", "warn", "mode"} }

// answer is the term that has the answers of a policy: by the name of the rule, its
// value in a list, which is empty where that is undefined.
func (w *workshop) answer() (*ast.Term, error) {
	found := map[string]bool{}
	for _, f := range w.own {
		if !f.module.Package.Path.Equal(w.policy) {
			continue
		}
		for _, rule := range f.module.Rules {
			name := nameOf(rule)
			if found[name] = true; !slices.Contains(members(), name) {
				continue
			}
			if len(rule.Head.Args) > 0 {
				return nil, ast.Errors{ast.NewError(ast.CompileErr, rule.Loc(), "got %s as a function, want a rule without arguments", name)}
			}
		}
	}
	if !found["deny"] && !found["warn"] {
		return nil, fmt.Errorf("%s: got no rule deny and no rule warn in package %s, want one of them", w.own[0].path, dotted(w.policy))
	}
	var items [][2]*ast.Term
	for _, name := range members() {
		value := ast.ArrayTerm()
		if found[name] {
			local := ast.VarTerm("value_" + name)
			value = ast.ArrayComprehensionTerm(local, ast.NewBody(
				ast.Equality.Expr(local, ast.NewTerm(w.policy.Append(ast.StringTerm(name))))))
		}
		items = append(items, ast.Item(ast.StringTerm(name), value))
	}
	return ast.ObjectTerm(items...), nil
}

// dotted is a package as it is written behind the word.
func dotted(path ast.Ref) string { return (&ast.Package{Path: path}).String()[len("package "):] }
