package raw

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
)

// maxSource is far above any file that a person wrote; time to compile grows faster
// than length.
const maxSource = 256 << 10

// file is one that was parsed.
type file struct {
	path   string
	text   string
	module *ast.Module
	v0     bool
	// name and policy are those of the policy that it belongs to; a library has none.
	name   string
	policy ast.Ref
}

// reserved are the roots of packages and of documents that are the product's own.
func reserved() []string { return []string{"assay", "cip", "cip_index", "system", "sigstore"} }

// parsed is a file, or what is wrong with it and where.
type parsed struct {
	file file
	err  error
}

// parseAll parses every file, or says of each what is wrong with it.
func parseAll(ctx context.Context, modules map[string]string, v0 bool) ([]file, error) {
	ctx, cancel := context.WithTimeout(ctx, apart.CompileTimeout)
	defer cancel()
	var out []file
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		parsed, err := apart.Beside(ctx, func() (out parsed, _ error) {
			out.file, out.err = parse(path, modules[path], v0)
			return out, nil
		})
		switch {
		case err != nil: // it took too long, or panicked
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		case parsed.err != nil:
			errs = append(errs, parsed.err)
		default:
			out = append(out, parsed.file)
		}
	}
	return out, errors.Join(errs...)
}

func parse(path, text string, v0 bool) (file, error) {
	out := file{path: path, text: text}
	switch depth := apart.Depth(text); {
	case len(text) > maxSource:
		return out, fmt.Errorf("%s: got %d bytes, want at most %d", path, len(text), maxSource)
	case !utf8.ValidString(text):
		return out, fmt.Errorf("%s: got bytes that are no UTF-8, want Rego", path)
	case depth > apart.MaxDepth:
		return out, fmt.Errorf("%s: got brackets %d deep, want at most %d", path, depth, apart.MaxDepth)
	}
	var err error
	if out.module, err = parseAs(path, text, ast.RegoV1); err != nil {
		old, oldErr := parseAs(path, text, ast.RegoV0)
		switch {
		case oldErr != nil:
			return out, err
		case !v0:
			return out, fmt.Errorf("%w\n%s is Rego v0: opa fmt --write --v0-v1 %[2]s makes it v1", err, path)
		}
		out.module, out.v0 = old, true
	}
	if err := misnamed(out.module); err != nil {
		return out, err
	}
	out.name, out.policy, err = policyOf(out.module.Package)
	return out, err
}

func parseAs(path, text string, version ast.RegoVersion) (*ast.Module, error) {
	module, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true})
	var errs ast.Errors
	if errors.As(err, &errs) && len(errs) > 0 {
		return nil, errs[0] // the first line is that of the mistake; the others follow from it
	}
	return module, err
}

// kubernetesAdmission is the policy of OPA's convention.
const kubernetesAdmission = "kubernetes.admission"

// nameForm is what names of policies may be: they stand in messages, one on a line.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_./-]{0,251}[A-Za-z0-9_])?$`)

// policyOf says to which policy a package belongs, and below which path all of that lies.
func policyOf(pkg *ast.Package) (name string, path ast.Ref, err error) {
	parts := ground(pkg.Path)
	refuse := func(format string, args ...any) (string, ast.Ref, error) {
		return "", nil, fmt.Errorf("%s: %s: "+format, append([]any{pkg.Location, pkg}, args...)...)
	}
	switch {
	case len(parts) == 0:
		return refuse("got no name, want a package below data")
	case parts[0] == "system":
		return refuse("the package is the product's own; assay answers the API server without system.main, leave it out")
	case slices.Contains(reserved(), parts[0]):
		return refuse("the package is the product's own")
	case len(parts) > 1 && parts[0] == "kubernetes" && parts[1] == "admission":
		return kubernetesAdmission, pkg.Path[:3], nil
	case parts[0] != "policies":
		return "", nil, nil
	case len(parts) == 1:
		return refuse("got no name, want policies.NAME")
	case parts[1] == kubernetesAdmission:
		return refuse("the name is that of package kubernetes.admission")
	case !nameForm.MatchString(parts[1]):
		return refuse("got the name %.80q, want letters, digits, and . _ - / between them", parts[1])
	}
	return parts[1], pkg.Path[:3], nil
}

// ground are the parts of a reference below its head, as far as they are written out.
func ground(ref ast.Ref) []string {
	var out []string
	for _, term := range ref[min(1, len(ref)):] {
		part, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		out = append(out, string(part))
	}
	return out
}

func byPolicy(files []file) map[string][]file {
	out := map[string][]file{}
	for _, f := range files {
		if f.policy != nil {
			out[f.name] = append(out[f.name], f)
		}
	}
	return out
}

func libraries(files []file) []file {
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool { return f.policy != nil })
}

// libraryOf parses rego/lib.
func libraryOf(source Source) ([]file, error) {
	var out []file
	for _, path := range slices.Sorted(maps.Keys(source.Library)) {
		module, err := parseAs(path, source.Library[path], ast.RegoV1)
		if err != nil {
			return nil, err
		}
		out = append(out, file{path: path, text: source.Library[path], module: module})
	}
	return out, nil
}

// cause is an error on one line, with the first few of many.
func cause(err error) string {
	var errs ast.Errors
	if !errors.As(err, &errs) {
		return apart.Shortened(strings.Join(strings.Fields(err.Error()), " "))
	}
	const most = 3
	var out []string
	for _, e := range errs {
		if len(out) == most {
			out = append(out, fmt.Sprintf("and %d more", len(errs)-most))
			break
		}
		out = append(out, apart.Shortened(hinted(strings.Join(strings.Fields(e.Error()), " "))))
	}
	return strings.Join(out, "; ")
}

// place is where an error is, or else where the policy begins.
func place(err error, first file) (path string, line int) {
	var errs ast.Errors
	if errors.As(err, &errs) && len(errs) > 0 && errs[0].Location != nil {
		return errs[0].Location.File, errs[0].Location.Row
	}
	return first.path, first.module.Package.Location.Row
}
