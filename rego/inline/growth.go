package inline

import (
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
	own    ast.Ref
	prefix string
	terms  map[string]int
	grew   bool
}

// checkGrowth refuses a module whose literals explode.
func checkGrowth(module *ast.Module, own ast.Ref) *ast.Error {
	g := &growth{own: own, prefix: own.String() + ".", terms: map[string]int{}}
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
		ast.WalkRules(module, func(rule *ast.Rule) bool {
			if value := rule.Head.Value; value != nil && len(rule.Head.Reference) > 0 {
				note(rule, g.rule(rule.Head.Reference[0].Value), g.weigh(value))
			}
			return large != nil
		})
		ast.WalkExprs(module, func(expr *ast.Expr) bool {
			if terms, ok := expr.Terms.([]*ast.Term); ok && len(terms) == 3 && (expr.IsEquality() || expr.IsAssignment()) {
				g.unify(expr, terms[1], terms[2], note)
				g.unify(expr, terms[2], terms[1], note)
			}
			return large != nil
		})
		if large != nil {
			return ast.NewError(ast.CompileErr, large.Loc(), "got a value of literals in literals with more than %d terms, want fewer", maxGrowth)
		}
		if !g.grew {
			return nil
		}
	}
	return nil
}

// unify notes what a variable is when it is equal to a term.
func (g *growth) unify(expr *ast.Expr, variable, term *ast.Term, note func(ast.Node, string, int)) {
	if name, ok := variable.Value.(ast.Var); ok {
		note(expr, string(name), g.weigh(term))
	}
}

// rule is the name under which a rule of the module is known.
func (g *growth) rule(name ast.Value) string {
	switch name := name.(type) {
	case ast.Var:
		return g.prefix + string(name)
	case ast.String:
		return g.prefix + string(name)
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
		if len(value) == len(g.own)+1 && value.HasPrefix(g.own) {
			return max(g.terms[g.rule(value[len(g.own)].Value)], 1)
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
