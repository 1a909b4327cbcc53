package inline

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// relocate moves a module and all that it says of itself from package sigstore to
// another. hidden says that data may be the name of something else somewhere in
// the module: then it must not say anything of itself.
func relocate(module *ast.Module, hidden bool, to ast.Ref) error {
	from := sigstore()
	for _, imported := range module.Imports {
		// An import is named for the end of its path, which the move may change.
		if path, ok := imported.Path.Value.(ast.Ref); ok && path.HasPrefix(from) && imported.Alias == "" {
			imported.Alias = imported.Name()
		}
	}
	// Only what moves is written to: the parser shares the terms of operators
	// between all modules, so ast.Transform, which writes everywhere, is a race.
	var ambiguous error
	ast.WalkTerms(module, func(term *ast.Term) bool {
		ref, ok := term.Value.(ast.Ref)
		if !ok || !ref.HasPrefix(from) {
			return false
		}
		if hidden && ambiguous == nil {
			ambiguous = fmt.Errorf("%s: got %s where data is also the name of a variable or a rule, want another name for that",
				ref[0].Location, ref)
		}
		term.Value = moved(ref, from, to)
		return false
	})
	module.Package.Path = moved(module.Package.Path, from, to)
	return ambiguous
}

// moved replaces the beginning of a reference. The terms keep a location: the
// formatter lays out by it.
func moved(ref, from, to ast.Ref) ast.Ref {
	out := ast.Ref{ref[0]}
	for _, term := range to[1:] {
		out = append(out, ast.NewTerm(term.Value).SetLocation(ref[len(from)-1].Location))
	}
	return append(out, ref[len(from):]...)
}

// hidesData says whether a module has a variable or a rule of the name data.
func hidesData(compiler *ast.Compiler, module *ast.Module) bool {
	for _, original := range compiler.RewrittenVars {
		if original == "data" {
			return true
		}
	}
	for _, rule := range module.Rules {
		if rule.Head.Name == "data" || len(rule.Head.Reference) > 0 && rule.Head.Reference[0].Equal(ast.DefaultRootDocument) {
			return true
		}
	}
	return false
}
