package raw

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Unasked is a file that reads like a policy and is none: a library with a rule that
// denies or warns, which no policy refers to. Nobody asks it, so whoever wrote
// package main, or policy.NAME, is not protected and does not notice.
type Unasked struct {
	Package, Rule string
	File          string
	Line          int
}

// Unasked are those files, in the order of their paths.
func (p *Policies) Unasked() []Unasked {
	if p == nil {
		return nil
	}
	return slices.Clone(p.unasked)
}

// unaskedIn looks at the libraries whose paths are in no policy.
func unaskedIn(files []file, asked map[string]bool) (out []Unasked) {
	for _, f := range libraries(files) {
		if asked[f.path] {
			continue
		}
		i := slices.IndexFunc(f.module.Rules, judges)
		if i < 0 {
			continue
		}
		rule := f.module.Rules[i]
		out = append(out, Unasked{Package: dotted(f.module.Package.Path), Rule: nameOf(rule), File: f.path, Line: rule.Loc().Row})
	}
	return out
}

// judges says whether a rule has the name that policies answer by, here or in the tools
// that people come from.
func judges(rule *ast.Rule) bool { return len(rule.Head.Args) == 0 && judging(nameOf(rule)) }
