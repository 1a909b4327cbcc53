package apart

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxGrowth bounds how many terms a value may have that is written as literals of
// literals: x1 := [x0, x0], x2 := [x1, x1] and so on. OPA's types of them are as
// large, and thirty lines are enough for it never to return.
const maxGrowth = 1 << 18

// maxPasses bounds the walks over a module. Each finds what the one before made
// larger, in whatever order that stands.
const maxPasses = 64

// growth is how many terms a variable or a rule has when all that it is made of
// is written out. It is no more than a guess from below: what is taken out of
// another value counts as one.
type growth struct {
	packages []ast.Ref
	terms    map[string]int
	grew     bool
}

// CheckGrowth refuses modules whose literals explode. It is for modules whose
// locals have names of their own, after [ast.StageRewriteLocalVars].
func CheckGrowth(modules ...*ast.Module) *ast.Error {
	g := &growth{terms: map[string]int{}}
	for _, module := range modules {
		if !slices.ContainsFunc(g.packages, func(path ast.Ref) bool { return path.Equal(module.Package.Path) }) {
			g.packages = append(g.packages, module.Package.Path)
		}
	}
	for range maxPasses {
		g.grew = false
		var large ast.Node
		note := func(node ast.Node, name string, terms int) {
			if terms > g.terms[name] {
				g.terms[name], g.grew = terms, true
			}
			if terms > maxGrowth {
				large = node
			}
		}
		for _, module := range modules {
			g.walk(module, note, func() bool { return large != nil })
		}
		if large != nil {
			return ast.NewError(ast.CompileErr, large.Loc(), "got a value of literals in literals with more than %d terms, want fewer", maxGrowth)
		}
		if !g.grew {
			return nil
		}
	}
	return nil
}

// walk notes what the rules and the variables of a module are.
func (g *growth) walk(module *ast.Module, note func(ast.Node, string, int), full func() bool) {
	ast.WalkRules(module, func(rule *ast.Rule) bool {
		if value := rule.Head.Value; value != nil && len(rule.Head.Reference) > 0 {
			note(rule, named(module.Package.Path, rule.Head.Reference[0].Value), g.weigh(value))
		}
		return full()
	})
	ast.WalkExprs(module, func(expr *ast.Expr) bool {
		if terms, ok := expr.Terms.([]*ast.Term); ok && len(terms) == 3 && (expr.IsEquality() || expr.IsAssignment()) {
			g.unify(expr, terms[1], terms[2], note)
			g.unify(expr, terms[2], terms[1], note)
		}
		return full()
	})
}

// unify notes what a variable is when it is equal to a term.
func (g *growth) unify(expr *ast.Expr, variable, term *ast.Term, note func(ast.Node, string, int)) {
	if name, ok := variable.Value.(ast.Var); ok {
		note(expr, string(name), g.weigh(term))
	}
}

// named is the name under which a rule of a package is known.
func named(path ast.Ref, name ast.Value) string {
	switch name := name.(type) {
	case ast.Var:
		return path.String() + "." + string(name)
	case ast.String:
		return path.String() + "." + string(name)
	default:
		return ""
	}
}

// weigh counts the terms of a term. It stops at the bound, as sums of sums would
// not fit in an int.
func (g *growth) weigh(term *ast.Term) int {
	sum := 1
	add := func(t *ast.Term) { sum = min(sum+g.weigh(t), maxGrowth+1) }
	switch value := term.Value.(type) {
	case ast.Var:
		return max(g.terms[string(value)], 1)
	case ast.Ref:
		for _, path := range g.packages {
			if len(value) == len(path)+1 && value.HasPrefix(path) {
				return max(g.terms[named(path, value[len(path)].Value)], 1)
			}
		}
	case ast.Call:
		add(value[0])
	case *ast.Array:
		value.Foreach(add)
	case ast.Set:
		value.Foreach(add)
	case ast.Object:
		value.Foreach(func(key, t *ast.Term) { add(key); add(t) })
	}
	return sum
}
