package raw

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
)

// closure are the modules that a policy consists of: its own, and the shared ones that
// these refer to, and so on.
func closure(own, shared []file) []file {
	out := slices.Clone(own)
	for i := 0; i < len(out); i++ {
		for _, path := range mentioned(out[i].module) {
			for _, f := range shared {
				pkg := ground(f.module.Package.Path)
				within := begins(path, pkg) || begins(pkg, path)
				if within && len(path) > 0 && !slices.ContainsFunc(out, func(o file) bool { return o.path == f.path }) {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// mentioned are the paths below data that a module mentions, those of imports included:
// as it was written, before imports are resolved.
func mentioned(module *ast.Module) [][]string {
	var out [][]string
	for _, imported := range module.Imports {
		if ref, ok := imported.Path.Value.(ast.Ref); ok && ref[0].Equal(ast.DefaultRootDocument) {
			out = append(out, ground(ref))
		}
	}
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		if ref[0].Equal(ast.DefaultRootDocument) {
			out = append(out, ground(ref))
		}
		return false
	})
	return out
}

// check refuses what a module must not read.
func (w *workshop) check(module *ast.Module, modules map[string]*ast.Module) *ast.Error {
	ours := begins(ground(module.Package.Path), []string{"assay"})
	return apart.CheckData(module, func(ref ast.Ref, at *ast.Location) *ast.Error {
		want := w.refuses(ground(ref), modules, ours)
		if want == "" {
			return nil
		}
		return ast.NewError(ast.CompileErr, at, "got a reference to %s, %s", ref, want)
	})
}

// refuses says what is wanted in the place of a reference to a path below data, and ""
// where there is nothing against it. ours is said of the modules of rego/lib.
func (w *workshop) refuses(path []string, modules map[string]*ast.Module, ours bool) string {
	own := ground(w.policy)
	switch {
	case len(path) == 0:
		return "want data that is written out"
	case begins(path, own):
	case begins(path, []string{"assay", "namespaces"}):
		if !w.placed {
			return "which neither a cluster nor a data document has"
		}
		w.places = true
		return ""
	case path[0] == "assay":
		if begins(path, []string{"assay", "config"}) || ours {
			return ""
		}
	case path[0] == "policies", slices.Contains(reserved(), path[0]):
		return "which is none of this policy's"
	case begins(path, []string{"kubernetes", "admission"}):
		return "which is another policy"
	case begins(own, path) || begins([]string{"kubernetes", "admission"}, path):
		return "which has policies in it, want the rest of it written out"
	}
	if has(w.data, path) {
		return ""
	}
	for _, m := range modules {
		if defines(m, path) {
			return ""
		}
	}
	return "which no module and no data document defines"
}

// defines says whether a module has something at a path, or below it.
func defines(module *ast.Module, path []string) bool {
	pkg := ground(module.Package.Path)
	if begins(pkg, path) {
		return true
	}
	if !begins(path, pkg) {
		return false
	}
	return slices.ContainsFunc(module.Rules, func(rule *ast.Rule) bool {
		return nameOf(rule) == path[len(pkg)]
	})
}

// nameOf is the first part of a rule's name.
func nameOf(rule *ast.Rule) string {
	if len(rule.Head.Reference) == 0 {
		return string(rule.Head.Name)
	}
	switch name := rule.Head.Reference[0].Value.(type) {
	case ast.Var:
		return string(name)
	case ast.String:
		return string(name)
	}
	return ""
}

// begins says whether a path begins with another.
func begins(path, with []string) bool {
	return len(path) >= len(with) && slices.Equal(path[:len(with)], with)
}

func joined(files []file) string {
	var out strings.Builder
	for _, f := range files {
		out.WriteString(f.text)
	}
	return out.String()
}
