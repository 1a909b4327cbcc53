package inline

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/schema"
)

// sigstore is the package of every inline module.
func sigstore() ast.Ref { return packageRef([]string{"sigstore"}) }

// packageRef is the reference to a package.
func packageRef(path []string) ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, part := range path {
		ref = append(ref, ast.StringTerm(part))
	}
	return ref
}

// parse reads a module as v0, which upstream does (REGO-1), else as v1. When it
// is neither, the error is that of the version which it was read further as.
func parse(file, source string) (*ast.Module, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("module: got %d bytes, want at most %d", len(source), maxSource)
	}
	if !utf8.ValidString(source) {
		return nil, errors.New("module: got bytes that are no UTF-8, want Rego")
	}
	if depth := apart.Depth(source); depth > apart.MaxDepth {
		return nil, fmt.Errorf("module: got brackets %d deep, want at most %d", depth, apart.MaxDepth)
	}
	module, err := parseAs(file, source, ast.RegoV0)
	if err != nil {
		v1, errV1 := parseAs(file, source, ast.RegoV1)
		switch {
		case errV1 == nil:
			module = v1
		case lineOf(errV1) > lineOf(err):
			return nil, errV1
		default:
			return nil, err
		}
	}
	if want := sigstore(); !module.Package.Path.Equal(want) {
		return nil, fmt.Errorf("%s: got %s, want package sigstore", module.Package.Loc(), module.Package)
	}
	return module, nil
}

// parseAs leaves annotations alone: upstream accepts malformed ones.
func parseAs(file, source string, version ast.RegoVersion) (*ast.Module, error) {
	return ast.ParseModuleWithOpts(file, source, ast.ParserOptions{RegoVersion: version})
}

// withAnnotations is a copy of a module, with the annotations of its source where
// they may name schemas and are well formed. Upstream does not read annotations:
// what is wrong with one is nothing that is wrong with the module.
func withAnnotations(file, source string, module *ast.Module) *ast.Module {
	if !schema.Named(source) {
		return module.Copy()
	}
	for _, version := range []ast.RegoVersion{ast.RegoV0, ast.RegoV1} {
		annotated, err := ast.ParseModuleWithOpts(file, source, ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true})
		if err == nil {
			return annotated
		}
	}
	return module.Copy()
}

// lineOf is the line of the first error.
func lineOf(err error) int {
	var errs ast.Errors
	if errors.As(err, &errs) && len(errs) > 0 && errs[0].Location != nil {
		return errs[0].Location.Row
	}
	return 0
}
