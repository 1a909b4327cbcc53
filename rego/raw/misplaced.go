package raw

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A rule deny that nobody asks admits what its author denied. So where one stands beside
// the place in which it is asked, somebody is told.

// misnamed refuses a rule that puts something into kubernetes.admission from above it:
// the file would be a library, and what it denies part of no policy.
func misnamed(module *ast.Module) error {
	parts := ground(module.Package.Path)
	if len(parts) != 1 || parts[0] != "kubernetes" {
		return nil
	}
	for _, rule := range module.Rules {
		if nameOf(rule) == "admission" {
			return fmt.Errorf("%s: got the rule %s in package kubernetes, want it in package %s", rule.Loc(), rule.Head.Ref(), kubernetesAdmission)
		}
	}
	return nil
}

// misplaced refuses rules below the package of a policy that look like its answers and
// that no other package of it mentions.
func (w *workshop) misplaced() error {
	own := ground(w.policy)
	for _, f := range w.own {
		pkg := ground(f.module.Package.Path)
		if len(pkg) == len(own) {
			continue
		}
		if slices.Contains(members(), pkg[len(own)]) {
			return ast.Errors{ast.NewError(ast.CompileErr, f.module.Package.Loc(), "got the package %s, want a rule %s in package %s",
				dotted(f.module.Package.Path), pkg[len(own)], dotted(w.policy))}
		}
		for _, rule := range f.module.Rules {
			if name := nameOf(rule); judging(name) && !w.asked(pkg) {
				return ast.Errors{ast.NewError(ast.CompileErr, rule.Loc(), "got a rule %s in package %s that nothing asks, want it in package %s",
					name, dotted(f.module.Package.Path), dotted(w.policy))}
			}
		}
	}
	return nil
}

// asked says whether another package of the policy mentions one.
func (w *workshop) asked(pkg []string) bool {
	return slices.ContainsFunc(w.own, func(f file) bool {
		own := ground(f.module.Package.Path)
		return !slices.Equal(own, pkg) && slices.ContainsFunc(mentioned(f.module), func(path []string) bool {
			return !slices.Equal(path, own) && (begins(path, pkg) || begins(pkg, path)) // a package mentions itself
		})
	})
}

// judging says of a name that whoever gives it to a rule wants objects denied: violation
// is what Gatekeeper calls it.
func judging(name string) bool { return name == "deny" || name == "warn" || name == "violation" }
