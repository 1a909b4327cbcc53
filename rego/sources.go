package rego

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/cip"
)

// sources are the policies as explanations want them, data.assay.sources: what their
// globs and spec.match say, and on which lines of the compiled modules the rules
// stand that they became. No decision reads it.
func sources(policies []cip.Policy, modules map[string]*ast.Module) (map[string]any, error) {
	out := map[string]any{}
	for _, p := range policies {
		path := "cip/" + p.Name + ".rego"
		lines := linesOf(modules[path])
		images := make([]any, len(p.Spec.Images))
		for i, image := range p.Spec.Images {
			glob, err := cip.ParseGlob(image.Glob)
			if err != nil {
				return nil, fmt.Errorf("policy %s: spec.images[%d].glob: %w", p.Name, i, err)
			}
			images[i] = map[string]any{
				"glob": glob.String(), "full": glob.Normalized(), "pattern": glob.Regexp(), "line": lines.at("matched", i),
			}
		}
		match := make([]any, len(p.Spec.Match))
		for i, entry := range p.Spec.Match {
			match[i] = matchSource(entry, lines.at("_resource_matched", i))
		}
		authorities := make([]any, len(p.Spec.Authorities))
		for i, authority := range p.Spec.Authorities {
			authorities[i] = map[string]any{
				"name": authority.Name, "field": fmt.Sprintf("spec.authorities[%d]", i), "line": lines.at("authorities", i),
			}
		}
		out[p.Name] = map[string]any{
			"path": path, "images": images, "match": match, "authorities": authorities, "policy": lines.at("policy", 0),
		}
	}
	return out, nil
}

func matchSource(entry cip.Match, line int) map[string]any {
	labels, expressions := map[string]any{}, []any{}
	if entry.Selector != nil {
		for key, value := range entry.Selector.MatchLabels {
			labels[key] = value
		}
		for _, r := range entry.Selector.MatchExpressions {
			values := make([]any, len(r.Values))
			for i, value := range r.Values {
				values[i] = value
			}
			expressions = append(expressions, map[string]any{"key": r.Key, "operator": r.Operator, "values": values})
		}
	}
	return map[string]any{
		"group": entry.Group, "version": entry.Version, "resource": entry.Resource,
		"labels": labels, "expressions": expressions, "line": line,
	}
}

// ruleLines are the lines of the rules of a module by name, in the order of text.
type ruleLines map[string][]int

// at is the line of the i-th rule of a name, 0 where there is none.
func (l ruleLines) at(name string, i int) int {
	if i < len(l[name]) {
		return l[name][i]
	}
	return 0
}

// linesOf reads a module of package compile: its rules stand in the order of the
// policy, one for each glob, entry of spec.match and authority.
func linesOf(module *ast.Module) ruleLines {
	out := ruleLines{}
	if module == nil {
		return out
	}
	for _, rule := range module.Rules {
		if rule.Default || rule.Location == nil {
			continue
		}
		if name, ok := rule.Head.Ref()[0].Value.(ast.Var); ok {
			out[string(name)] = append(out[string(name)], rule.Location.Row)
		}
	}
	return out
}
