package inline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/assay-dev/assay/rego/apart"
)

// printed is a module as text, and the program that the text is.
type printed struct {
	text    string
	version int
	answers bool // has a rule isCompliant
	program *apart.Program
	origins origins
}

// printAndCompile writes a relocated module in the latest version of Rego that
// can say it, v1 before v0. OPA's formatter reports no errors where it writes
// what does not parse, and has changed meanings before: the text counts when it
// compiles and every rule of it is the rule that it was.
func printAndCompile(ctx context.Context, file string, to ast.Ref, module *ast.Module) (*printed, error) {
	var errs []error
	for _, version := range []ast.RegoVersion{ast.RegoV1, ast.RegoV0} {
		out, err := printAs(ctx, file, to, module, version)
		if err == nil {
			return out, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("module cannot be printed: %w", errors.Join(errs...))
}

func printAs(ctx context.Context, file string, to ast.Ref, module *ast.Module, version ast.RegoVersion) (*printed, error) {
	text, reread, err := write(file, module, version)
	if err != nil {
		return nil, err
	}
	if !annotated(file, text, reread, version) {
		muteMetadata(module)
		if text, reread, err = write(file, module, version); err != nil {
			return nil, err
		}
	}
	if err := sameModule(module, reread); err != nil {
		return nil, err
	}
	origins := originsOf(module, reread)
	compiler, err := compiled(ctx, file, text, reread, to)
	if err != nil {
		return nil, err
	}
	out := &printed{text: text, origins: origins}
	if version == ast.RegoV1 {
		out.version = 1
	}
	out.program, err = prepare(compiler, to)
	return out, err
}

// write prints a module and reads what it printed.
func write(file string, module *ast.Module, version ast.RegoVersion) (string, *ast.Module, error) {
	text, err := format.AstWithOpts(module, format.Opts{RegoVersion: version, DropRedundantDirectiveImports: true})
	if err != nil {
		return "", nil, err
	}
	reread, err := parseAs(file, string(text), version)
	return string(text), reread, err
}

// sameModule wants what was printed to be what was meant: package, imports and
// rules. Positions may differ, and = in a head, which v1 writes as :=.
func sameModule(want, got *ast.Module) error {
	if !got.Package.Path.Equal(want.Package.Path) {
		return fmt.Errorf("printed %s, want %s", got.Package, want.Package)
	}
	if got, want := names(got), names(want); !slices.Equal(got, want) {
		return fmt.Errorf("printed imports %q, want %q", got, want)
	}
	if len(got.Rules) != len(want.Rules) {
		return fmt.Errorf("printed %d rules, want %d", len(got.Rules), len(want.Rules))
	}
	for i, rule := range got.Rules {
		if !unassigned(rule).Equal(unassigned(want.Rules[i])) {
			return fmt.Errorf("%s: printed as another rule: got %s, want %s", want.Rules[i].Location, rule, want.Rules[i])
		}
	}
	return nil
}

// names are the names that imports bring into scope and what for, in the order
// of text. Those of keywords bring none.
func names(module *ast.Module) []string {
	var out []string
	for _, imported := range module.Imports {
		if path, ok := imported.Path.Value.(ast.Ref); ok && ast.RootDocumentNames.Contains(path[0]) {
			out = append(out, fmt.Sprintf("%s as %s", path, imported.Name()))
		}
	}
	slices.Sort(out)
	return out
}

func unassigned(rule *ast.Rule) *ast.Rule {
	out := rule.Copy()
	for r := out; r != nil; r = r.Else {
		r.Head.Assign = false
	}
	return out
}

// muteMetadata makes plain comments of METADATA that is malformed: upstream does
// not read it, and OPA's tools refuse the file.
func muteMetadata(module *ast.Module) {
	for _, comment := range module.Comments {
		if isMetadata(comment) {
			comment.Text = slices.Concat([]byte(" malformed "), bytes.TrimSpace(comment.Text))
		}
	}
}

// isMetadata has in mind the comments that OPA takes for one, and those that it
// would at another column.
func isMetadata(comment *ast.Comment) bool {
	return bytes.HasPrefix(bytes.TrimSpace(comment.Text), []byte("METADATA"))
}

// annotated says whether the annotations of a text are well formed.
func annotated(file, text string, module *ast.Module, version ast.RegoVersion) bool {
	if !slices.ContainsFunc(module.Comments, isMetadata) {
		return true
	}
	_, err := ast.ParseModuleWithOpts(file, text, ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true})
	return err == nil
}
