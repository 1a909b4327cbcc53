package bundles

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/lib"
	"github.com/assay-dev/assay/rego/raw"
)

// rules are the flags of serve that decide what policies compile there.
type rules struct {
	sources []string
	rego    allow.Flags
	v0      bool // beside what the flags say
}

// checked is what was read of policies that compile.
type checked struct {
	// policies counts those of both kinds, and those in plain Rego.
	policies int
	warnings []string
	// builtins are those of ours that the policies and their library call.
	builtins []string
}

// errElsewhere is why nothing is fetched.
var errElsewhere = errors.New("it is looked up where the bundle serves")

// check compiles what the paths stand for, as serve would. What would serve and fail whatever
// it judges is an error here, and what is missing is a warning where it may be there later.
func check(ctx context.Context, paths []string, of rules) (*checked, error) {
	documents, err := wiring.ReadDocuments(paths)
	if err != nil {
		return nil, err
	}
	out := &checked{}
	var errs []error
	for _, policy := range documents.Policies {
		problems, warnings := wiring.Compiler{Sources: of.sources}.Check(ctx, policy)
		for _, problem := range problems {
			errs = append(errs, fmt.Errorf("policy %s: %s", policy.Name, problem))
		}
		for _, warning := range warnings {
			out.warnings = append(out.warnings, "policy "+policy.Name+": "+warning)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	nowhere := func(context.Context, string) (crypto.PublicKey, error) { return nil, errElsewhere }
	documents.Resolve(ctx, keys.New(keys.Options{KMS: nowhere}))
	source := documents.Source(of.rego)
	source.V0 = source.V0 || of.v0
	// A bundle is a part of what serves: what no policy of it matches, others may.
	source.Config = rego.Config{NoMatch: "allow", Tags: "pods", Policies: "upstream"}
	source.Open = func(rego.Workload) rego.Answers { return nil } // nothing is decided
	set, err := rego.Compile(ctx, source)
	if err != nil {
		return nil, err
	}
	for _, policy := range set.Raw() {
		if failure := policy.Failure(); failure != nil {
			errs = append(errs, fmt.Errorf("policy %s: %s", policy.Name, failure.Message))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out.policies = len(set.Policies()) + len(set.Raw())
	out.warnings = slices.Concat(out.warnings, documents.Warnings, set.Warnings())
	out.builtins, err = called(ctx, documents.Policies, set.Source().Modules, source.V0)
	return out, err
}

// permitted holds all Rego of a bundle to what the gate holds it to, tests and what no policy imports
// included.
func (r *rules) permitted(found *content, v0 bool) error {
	texts := map[string]string{}
	for name, file := range found.from {
		if strings.HasSuffix(name, ".rego") {
			texts[file] = string(found.files[name])
		}
	}
	library, err := lib.Modules()
	if err != nil {
		return err
	}
	return raw.CheckAll(texts, library, v0, r.rego.Off())
}

// checkRoots makes the roots as serving them would, but for those that are fetched.
func checkRoots(roots []cip.TrustRoot) error {
	var errs []error
	for _, root := range roots {
		if problem := (wiring.Compiler{}).CheckRoot(root); problem != "" {
			errs = append(errs, fmt.Errorf("TrustRoot %s: %s", root.Name, problem))
		}
	}
	return errors.Join(errs...)
}

// called are the builtins that a stock OPA has not and the modules call, with those of the
// library where they, or the policies, need it.
func called(ctx context.Context, policies []cip.Policy, modules map[string]string, v0 bool) ([]string, error) {
	all := maps.Clone(modules)
	library := len(policies) > 0
	for _, text := range modules {
		library = library || strings.Contains(text, "data.assay")
	}
	versions := map[string]bool{}
	if library {
		text, err := rego.Modules(ctx, nil)
		if err != nil {
			return nil, err
		}
		for path, module := range text.Modules {
			all["library/"+path] = module
		}
		for _, path := range text.V0 {
			versions["library/"+path] = true
		}
	}
	ours := map[string]bool{}
	for _, declaration := range builtins.Declarations() { //nolint:contextcheck // none is called
		ours[declaration.Name] = true
	}
	found := map[string]bool{}
	for path, text := range all {
		module, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil && (v0 || versions[path]) {
			module, err = ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV0})
		}
		if err != nil {
			return nil, err
		}
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			if name := ref.String(); ours[name] {
				found[name] = true
			}
			return false
		})
	}
	return slices.Sorted(maps.Keys(found)), nil
}
