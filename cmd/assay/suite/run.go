package suite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/runtime/info"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"

	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/schema"
)

// The exit codes of `opa test`.
const (
	exitPassed = 0
	exitBroken = 1
	exitFailed = 2
)

// run is one run of all tests.
type run struct {
	questions map[[2]string]question
	found     *loaded
	// late makes the stage of a run that has neither fixtures nor resources, when a
	// Rego test asks the world all the same: it is an empty one.
	late  sync.Once
	stage *stage
}

// once loads and runs everything, as often as --count says.
func (s *settings) once(ctx context.Context) int {
	if s.format == "gobench" && !s.bench {
		fmt.Fprintln(s.errors, "cannot use output format gobench without running benchmarks (--bench)")
		return exitPassed // OPA's code for it
	}
	if s.threshold < 0 || s.threshold > 100 {
		fmt.Fprintln(s.errors, "Code coverage threshold must be between 0 and 100")
		return exitBroken
	}
	found, err := s.load()
	if err != nil {
		fmt.Fprintln(s.errors, err)
		return exitBroken
	}
	for _, warning := range found.warnings {
		fmt.Fprintln(s.errors, "warning:", plain.Below(warning))
	}
	code, err := s.play(ctx, found)
	if err != nil {
		fmt.Fprintln(s.errors, err)
	}
	return code
}

// play runs what was loaded. An error is to be printed; the code stands beside it.
func (s *settings) play(ctx context.Context, found *loaded) (int, error) {
	r := &run{found: found}
	if len(found.fixtures) > 0 || len(found.manifests) > 0 {
		var err error
		if r.stage, err = newStage(ctx, found); err != nil {
			return exitBroken, err
		}
		if r.questions, err = r.stage.questions(ctx, found.fixtures); err != nil {
			return exitBroken, errors.Join(err, r.close())
		}
		for _, warning := range r.stage.warnings {
			fmt.Fprintln(s.errors, "warning:", plain.Below(warning))
		}
	}
	defer r.close() //nolint:errcheck // it was in memory
	txn, err := found.store.NewTransaction(ctx, storage.WriteParams)
	if err != nil {
		return exitBroken, err
	}
	defer found.store.Abort(ctx, txn)
	runner, reporter, err := s.runner(ctx, found, r, txn)
	if err != nil {
		return exitBroken, err
	}
	for range s.count {
		if code, err := s.report(context.WithValue(ctx, runKey{}, r), runner, reporter, txn); code != exitPassed {
			return code, err
		}
	}
	return exitPassed, nil
}

func (r *run) close() error {
	if r.stage == nil {
		return nil
	}
	return r.stage.close()
}

// metadata is what Rego tests have instead of a session of the engine.
func (r *run) metadata(ctx context.Context) map[string]any {
	r.late.Do(func() {
		if r.stage == nil {
			r.stage, _ = newStage(context.WithoutCancel(ctx), r.found) // without one nothing is known, which the builtins say
		}
	})
	if r.stage == nil {
		return nil
	}
	return r.stage.metadata()
}

// runner is OPA's, set up as `opa test` does it.
func (s *settings) runner(ctx context.Context, found *loaded, r *run, txn storage.Transaction) (*tester.Runner, tester.Reporter, error) {
	modules, err := s.modules(ctx, found, r)
	if err != nil {
		return nil, nil, err
	}
	capabilities := s.may()
	schemas, err := loader.Schemas(s.schema)
	if err == nil && s.schema == "" {
		schemas, err = schema.Set(slices.Collect(maps.Values(modules))...)
	}
	if err != nil {
		return nil, nil, err
	}
	compiler := ast.NewCompiler().
		SetErrorLimit(s.maxErrors).
		WithPathConflictsCheck(storage.NonEmpty(ctx, found.store, txn)).
		WithEnablePrintStatements(!s.bench).
		WithCapabilities(capabilities).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).
		WithRewriteTestRules(s.varValues)
	runtime, err := info.New()
	if err != nil {
		return nil, nil, err
	}
	var coverage *cover.Cover
	var tracer topdown.QueryTracer
	if s.coverage {
		if s.bench {
			return nil, nil, errors.New("coverage reporting is not supported when benchmarking tests")
		}
		coverage = cover.New()
		tracer = coverage
	}
	runner := tester.NewRunner().
		SetCompiler(compiler).
		SetStore(found.store).
		CapturePrintOutput(true).
		EnableTracing(s.verbose || s.varValues).
		StackTraces(true).
		SetCoverageRuns(s.kinds()).
		SetCoverageQueryTracer(tracer).
		SetRuntime(runtime).
		SetModules(modules).
		SetBundles(found.bundles).
		SetTimeout(s.within()).
		Filter(s.filter).
		SetParallel(s.parallel)
	if s.targeted {
		runner = runner.Target(s.target)
	}
	return runner, s.reporter(found.modules, coverage), nil
}

// may is what Rego may call. Tests run where the code of others is tried: http.send and
// its like reach no host but those that a file of capabilities names.
func (s *settings) may() *ast.Capabilities {
	out := ast.CapabilitiesForThisVersion()
	if s.capabilities != nil {
		own := *s.capabilities
		own.Builtins = append(slices.Clone(own.Builtins), caseDeclaration())
		out = &own
	}
	if out.AllowNet == nil {
		out.AllowNet = []string{} // nil is every host
	}
	return out
}

// index is the package of the index of compiled policies. Without policies there is
// none: who loads compiled ones has theirs.
const index = "data.cip_index"

// modules are those that were loaded and what belongs to them: what policies and
// fixtures become, and the library where anything asks it. What was loaded in one
// piece with the library, as `assay compile -o` writes it, has its own.
func (s *settings) modules(ctx context.Context, found *loaded, r *run) (map[string]*ast.Module, error) {
	out := map[string]*ast.Module{}
	if !s.bundle { // OPA adds those of bundles itself
		maps.Copy(out, found.modules)
	}
	for _, file := range found.fixtures {
		if len(file.Cases) > 0 {
			out[file.Path] = module(file, s.origin(file.Path))
		}
	}
	policies := &policies{}
	if r.stage != nil {
		policies = r.stage.policies
	}
	if len(policies.cips) == 0 && !asksLibrary(found.modules) {
		return out, nil
	}
	resolved := policies.cips
	if r.stage != nil {
		resolved, _ = r.stage.resolver.Resolve(ctx, policies.cips, policies.sources)
	}
	text, err := rego.Modules(ctx, resolved)
	if err != nil {
		return nil, err
	}
	loadedPackages := map[string]string{}
	for path, module := range found.modules {
		loadedPackages[module.Package.Path.String()] = path
	}
	for path, source := range text.Modules {
		version := ast.RegoV1
		if slices.Contains(text.V0, path) {
			version = ast.RegoV0
		}
		module, err := ast.ParseModuleWithOpts(s.origin(path), source, ast.ParserOptions{RegoVersion: version, ProcessAnnotation: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		name := module.Package.Path.String()
		other, taken := loadedPackages[name]
		switch {
		case !taken && (name != index || len(policies.cips) > 0):
			out[path] = module
		case taken && name == index && len(policies.cips) > 0:
			return nil, fmt.Errorf("%s: got compiled policies beside policies that are yet to be compiled, want one or the other", other)
		}
	}
	return out, nil
}

// origin is where a module says that it comes from which nobody wrote: coverage is of
// what has an origin.
func (s *settings) origin(path string) string {
	if s.coverage {
		return ""
	}
	return path
}

// asksLibrary says whether a module names what only the library and compiled policies
// have.
func asksLibrary(modules map[string]*ast.Module) bool {
	for _, module := range modules {
		asks := false
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			if len(ref) > 1 && ref[0].Equal(ast.DefaultRootDocument) {
				name, _ := ref[1].Value.(ast.String)
				asks = asks || name == "assay" || name == "cip" || name == "cip_index"
			}
			return asks
		})
		if asks {
			return true
		}
	}
	return false
}

// report runs the tests and reports them.
func (s *settings) report(ctx context.Context, runner *tester.Runner, reporter tester.Reporter, txn storage.Transaction) (int, error) {
	var results chan *tester.Result
	var err error
	if s.bench {
		testing.Init() // testing.Benchmark reads flags
		results, err = runner.RunBenchmarks(ctx, txn, tester.BenchmarkOptions{ReportAllocations: s.benchmem})
	} else {
		results, err = runner.RunTests(ctx, txn)
	}
	if err != nil {
		return exitBroken, err
	}
	ran, code := false, exitPassed
	passing := make(chan *tester.Result)
	go func() {
		defer close(passing)
		for result := range results {
			ran = true
			if !result.Pass() && (!result.Skip || !s.exitZeroOnSkipped) {
				code = exitFailed
			}
			result.Trace = s.filtered(result.Trace)
			passing <- result
		}
	}()
	if err := reporter.Report(passing); err != nil {
		var short *cover.CoverageThresholdError
		if !s.bench && errors.As(err, &short) {
			return exitFailed, err
		}
		return exitBroken, err
	}
	if !ran && s.failOnEmpty {
		return exitBroken, errors.New("no tests were run")
	}
	return code, nil
}

// filtered is the part of a trace that --explain wants.
func (s *settings) filtered(trace []*topdown.Event) []*topdown.Event {
	if !s.explained && s.verbose {
		return lineage.Filter(trace, func(event *topdown.Event) bool {
			return event.Op == topdown.NoteOp || event.Op == topdown.FailOp
		})
	}
	switch s.explain {
	case "notes":
		return lineage.Notes(trace)
	case "full":
		return lineage.Full(trace)
	case "fails":
		return lineage.Fails(trace)
	case "debug":
		return lineage.Debug(trace)
	}
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
