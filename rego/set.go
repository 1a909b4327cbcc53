package rego

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/inline"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
	"github.com/assay-dev/assay/rego/schema"
)

// Source is what a policy set is compiled from.
type Source struct {
	// Policies are the ClusterImagePolicies. Their names are unique.
	Policies []cip.Policy
	// Config is the installation's.
	Config Config
	// Open starts the answers of one decision about a workload. Required.
	Open func(about Workload) Answers
	// Modules are the files of policies in plain Rego, and of libraries beside them,
	// by path; see rego/raw. They may not lie under the packages that are the
	// product's own.
	Modules map[string]string
	// V0 lets files of Modules that are not Rego v1 be Rego v0.
	V0 bool
	// Data are the documents that those policies see below data. Where there is no cluster,
	// data.assay.namespaces may be among them.
	Data map[string]any
	// Namespaces are those of the cluster now, asked for once in each decision about which a
	// policy reads them. Nil is no cluster.
	Namespaces func() *Namespaces
	// Objects are policies in plain Rego that are each an object of its own: they see no
	// Modules and no Data but theirs.
	Objects []raw.Object
	// Workloads say where the images of custom kinds stand.
	Workloads []resource.WorkloadPaths
	// Allow turns on builtins that are off for all of them.
	Allow raw.Allow
	// Registries are those that they may ask besides the review's own and those that
	// ClusterImagePolicies name, spelled as oci.parse spells them.
	Registries []string
	// Explains makes [Engine.Explain] possible. It changes no decision; what it needs of
	// the library takes a quarter of the time to compile a small set.
	Explains bool
	// Load has what was made of policies that did not change, and says how long is waited
	// for those that did. One that is not compiled by then fails, until the next load: so
	// does nothing that a file has in plain Rego, for which is waited. Nil makes everything
	// anew, and waits for it.
	Load *once.Load
	// Before is a set that serves. Where the source says the same, it is not compiled anew.
	Before *Set
}

// config is the configuration as policies see it.
func (s Source) config() map[string]any {
	out := s.Config.document()
	if len(s.Workloads) > 0 {
		workloads := make([]any, len(s.Workloads))
		for i, w := range s.Workloads {
			workloads[i] = w.Document()
		}
		out["workloads"] = workloads
	}
	return out
}

// Set is a policy set, compiled and ready. It is immutable and safe for
// concurrent use.
type Set struct {
	source     Source
	hash       string
	policies   []string
	warnings   []string
	uncompiled map[string]map[string]string
	inline     map[string]*inline.Module
	raw        *raw.Policies
	open       func(about Workload) Answers
	namespaces func() *Namespaces // nil where no policy reads them
	readers    readers
	reachable  []string // registries that policies in plain Rego may ask besides
	prepared
}

// prepared is what equal sets share.
type prepared struct {
	sources []string // registries that policies name
	// expressions are the regular expressions that have been compiled.
	expressions cache.InterQueryValueCache

	decision, mutation, registries, unchanged, workload rego.PreparedEvalQuery
	explanation                                         *rego.PreparedEvalQuery // nil where the source does not want any
}

// Hash names the content of the set, sha256 in hex: equal sets decide equally.
func (s *Set) Hash() string { return s.hash }

// Source is what the set was compiled from. It must not be changed.
func (s *Set) Source() Source { return s.source }

// Policies are the names of the ClusterImagePolicies, in order; those in plain Rego are
// [Set.Raw].
func (s *Set) Policies() []string { return slices.Clone(s.policies) }

// Warnings are about policies of the set that fail whatever they judge; see
// [Text].
func (s *Set) Warnings() []string { return slices.Clone(s.warnings) }

// Uncompiled says why modules inside policies do not compile; see [Text].
func (s *Set) Uncompiled() map[string]map[string]string { return s.uncompiled }

// Compile makes a set of its source. Every policy that does not compile is
// named in the error, with its field.
func Compile(ctx context.Context, source Source) (*Set, error) {
	if source.Open == nil {
		return nil, errors.New("a policy set needs answers: Open is nil")
	}
	namespaces, err := source.knownNamespaces()
	if err != nil {
		return nil, err
	}
	text, err := modules(ctx, source.Policies, source.Load, namespaces != nil)
	if err != nil {
		return nil, err
	}
	if err := text.AddRaw(ctx, source); err != nil {
		return nil, err
	}
	source = text.waiting(source)
	set := &Set{
		hash: hashOf(text, source), policies: text.policies, warnings: slices.Concat(text.Warnings, unmatched(source, text.raw)),
		uncompiled: text.Uncompiled, inline: text.inline, raw: text.raw, reachable: source.Registries, open: source.Open,
	}
	if set.readers = text.readers; set.readers.any() {
		set.namespaces = namespaces
	}
	before := source.Before
	source.Load, source.Before = nil, nil // a set keeps neither
	set.source = source
	if before != nil && before.hash == set.hash && before.source.Explains == source.Explains {
		set.prepared = before.prepared
		return set, nil
	}
	if set.prepared, err = prepare(ctx, text, source); err != nil {
		return nil, err
	}
	return set, nil
}

// prepare compiles the modules that decide together, and prepares what is asked of them.
func prepare(ctx context.Context, text *Text, source Source) (set prepared, err error) {
	compiler, err := compiled(ctx, text.compiled(source.Explains), text.load)
	if err != nil {
		return set, err
	}
	set.expressions = expressions(ctx, source.Policies)
	about := map[string]any{"config": source.config(), "raw_policies": rawIndex(text.raw)}
	queries := map[string]*rego.PreparedEvalQuery{
		"data.assay.admission.decision": &set.decision,
		"data.assay.mutation.decision":  &set.mutation,
		"data.assay.images.registries":  &set.registries,
		"data.assay.images.unchanged":   &set.unchanged,
		"data.assay.images.workload":    &set.workload,
	}
	if source.Explains {
		set.explanation = &rego.PreparedEvalQuery{}
		queries["data.assay.explain.answer"] = set.explanation
		if about["sources"], err = sources(source.Policies, compiler.Modules); err != nil {
			return set, err
		}
	}
	store := inmem.NewFromObjectWithOpts(map[string]any{"assay": about}, inmem.OptRoundTripOnWrite(false))
	for query, into := range queries {
		// Strict builtin errors: an error of a builtin must not leave a rule
		// undefined, it must end the evaluation.
		*into, err = rego.New(rego.Compiler(compiler), rego.Store(store), rego.Query(query),
			rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
		if err != nil {
			return set, fmt.Errorf("prepare %s: %w", query, err)
		}
	}
	set.sources, err = sourceRegistries(ctx, compiler, source.Policies)
	return set, err
}

// expressions keeps the regular expressions that globs become, each of which takes
// longer to compile than a policy to be asked. OPA keeps a hundred of the process
// by itself; as many are left here for those of other modules.
func expressions(ctx context.Context, policies []cip.Policy) cache.InterQueryValueCache {
	most := 100
	for _, p := range policies {
		most += len(p.Spec.Images)
	}
	return cache.NewInterQueryValueCache(ctx, &cache.Config{
		InterQueryBuiltinValueCache: cache.InterQueryBuiltinValueCacheConfig{MaxNumEntries: &most},
	})
}

// sourceRegistries are the registries in which policies look for evidence, spelled
// as the builtins spell them. A source that is none fails its authority when it
// is asked, and no registry.
func sourceRegistries(ctx context.Context, compiler *ast.Compiler, policies []cip.Policy) ([]string, error) {
	sources := []any{}
	for _, p := range policies {
		if p.Namespace != "" { // who writes it widens nobody's reach
			continue
		}
		for _, authority := range p.Spec.Authorities {
			for _, source := range authority.Sources {
				if source.OCI != "" {
					sources = append(sources, source.OCI)
				}
			}
		}
	}
	if len(sources) == 0 {
		return nil, nil
	}
	results, err := rego.New(rego.Compiler(compiler), rego.Input(sources), rego.StrictBuiltinErrors(true),
		rego.Query("{parsed.registry | some source in input; parsed := oci.parse(source); parsed.ok}")).Eval(ctx)
	if err != nil {
		return nil, fmt.Errorf("registries of sources: %w", err)
	}
	return texts(results), nil
}

// compiled compiles the modules together with what policies may call: the pure
// builtins of OPA and ours. What reaches the network or the process otherwise
// is left out, for every policy alike.
func compiled(ctx context.Context, modules map[string]string, load *once.Load) (*ast.Compiler, error) {
	parsed := map[string]*ast.Module{}
	for path, text := range modules {
		module, err := once.Get(ctx, load.Patiently(), once.KeyOf("module", path, text), func(context.Context) (*ast.Module, error) {
			return ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		})
		if err != nil {
			return nil, err
		}
		parsed[path] = module
	}
	schemas, err := schema.Set(slices.Collect(maps.Values(parsed))...)
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(schemas).WithUseTypeCheckAnnotations(true).WithStrict(true)
	if compiler.Compile(parsed); compiler.Failed() {
		return nil, compiler.Errors
	}
	return compiler, nil
}

func capabilities() *ast.Capabilities {
	out := ast.CapabilitiesForThisVersion()
	out.AllowNet = []string{}
	out.Builtins = slices.DeleteFunc(out.Builtins, func(b *ast.Builtin) bool {
		return slices.Contains(apart.Reaching(), b.Name)
	})
	return out
}

// hashOf names all that a set decides by.
func hashOf(text *Text, source Source) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q\n", source.Config)
	for _, path := range slices.Sorted(maps.Keys(text.Modules)) {
		fmt.Fprintf(hash, "%q %q\n", path, text.Modules[path])
	}
	if own, ok := source.inData(); ok {
		namespaces, err := json.Marshal(own)
		fmt.Fprintf(hash, "%q %v\n", namespaces, err)
	}
	if len(source.Workloads) > 0 {
		fmt.Fprintf(hash, "%q\n", source.Workloads)
	}
	if len(source.Objects) > 0 {
		objects, err := json.Marshal(source.Objects) // in the order of the names
		fmt.Fprintf(hash, "%q %v\n", objects, err)
	}
	if len(source.Modules) == 0 && len(source.Objects) == 0 {
		return hex.EncodeToString(hash.Sum(nil))
	}
	for _, path := range slices.Sorted(maps.Keys(source.Modules)) {
		fmt.Fprintf(hash, "%q\n", path) // locations are part of messages
	}
	data, err := []byte("{}"), error(nil) // which is what no data are, too
	if len(source.Data) > 0 {
		data, err = json.Marshal(source.Data) // in the order of the names
	}
	fmt.Fprintf(hash, "%q %v %t %q %q %q\n", data, err, source.V0, source.Allow.Builtins, source.Allow.Hosts, source.Registries)
	// One that had no time to compile is another than the same once it is compiled.
	for _, failing := range text.Failing() {
		fmt.Fprintf(hash, "%q %q\n", failing.Name, failing.Failure().Message)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
