// Package raw makes policies in plain Rego ready: files in, policies out, each with a
// compiler and a program of its own.
//
// A file belongs to the policy that its package names: kubernetes.admission (OPA's
// convention) is one, policies.NAME and what is below it another. All files of a
// policy are one. Every other package is a library, which policies may import, but for
// those that are the product's own.
//
// OPA knows no tenants (see rego/apart). So the compiler of a policy has its own
// modules, the libraries that they refer to and those of rego/lib, and nothing else: a
// policy that does not compile, or contradicts itself, or never ends, is its own
// [apart.Failure]. A reference to another policy, to what is the product's, or to data that
// nothing defines is an error of the policy that makes it: OPA takes it for undefined, and
// a rule that denies would be silent.
//
// A file that cannot be parsed refuses all, like YAML that cannot be parsed: nobody can
// say which policy it was.
//
// What the answers of a policy mean is decided in Rego, by rego/lib.
package raw

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/once"
)

// Source is what policies are made of.
type Source struct {
	// Modules are the texts of files by path, as their author knows it: errors and
	// locations name it.
	Modules map[string]string
	// V0 lets files that are not Rego v1 be Rego v0.
	V0 bool
	// Data are the documents that policies see below data.
	Data map[string]any
	// Namespaces says that policies may read data.assay.namespaces: an evaluation has it.
	Namespaces bool
	// Config is what policies see as data.assay.config.
	Config map[string]any
	// Objects are policies that are each an object of its own.
	Objects []Object
	// Library are the modules of rego/lib by path.
	Library map[string]string
	// Allow turns on what is off.
	Allow Allow
	// Load has what was made of policies before. For objects it says how long is waited;
	// for files is waited. Nil makes everything anew.
	Load *once.Load
}

// Allow is what an installation turns on; the zero value is nothing.
type Allow struct {
	// Builtins are the names of builtins that are off otherwise, see [Off].
	Builtins []string
	// Hosts are those that http.send may reach, and net.lookup_ip_addr may ask for,
	// without a port.
	Hosts []string
	// Transport changes what http.send sends with.
	Transport topdown.CustomizeRoundTripper
}

// Policies are policies that are ready, and the libraries beside them.
type Policies struct {
	list  []*Policy
	files []file
	// unasked are files that nobody asks, see [Unasked].
	unasked []Unasked
	// late are the objects that are not compiled yet, by name, as they count until then.
	late map[string]Object
}

// Compile makes policies of files. The error is about files that are no Rego, are in a
// package that is the product's own, or of the source as a whole; what is wrong with one
// policy is its own [Policy.Failure].
func Compile(ctx context.Context, source Source) (*Policies, error) {
	if err := source.Allow.check(); err != nil {
		return nil, err
	}
	if err := checkData(source.Data); err != nil {
		return nil, err
	}
	files, err := parseAll(ctx, source.Modules, source.V0)
	if err != nil {
		return nil, err
	}
	lots := []*lot{{files: files, data: source.Data}}
	for _, object := range source.Objects {
		lots = append(lots, lotOf(ctx, object, source))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // no fault of a policy
	}
	out, asked := &Policies{late: map[string]Object{}}, map[string]bool{}
	for _, l := range lots {
		out.files = append(out.files, l.files...)
		out.noteLate(l.of, l.refused, nil)
	}
	if groups := contenders(lots); len(groups) > 0 { // parsing the library takes longer than compiling a policy
		// The library asks whether there are any. Which there are is no policy's business: each
		// would be another whenever one of the others comes or goes.
		some := map[string]any{"policies": map[string]any{}}
		for _, l := range lots {
			l.prepare(map[string]any{"config": source.Config, "raw_policies": some})
		}
		if err := out.compile(ctx, source, groups, asked); err != nil {
			return nil, err
		}
	}
	out.unasked = unaskedIn(out.files, asked)
	slices.SortFunc(out.list, func(a, b *Policy) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// compile makes the policies, and notes the paths of what they consist of.
func (p *Policies) compile(ctx context.Context, source Source, groups map[string][]contender, asked map[string]bool) error {
	library, err := libraryOf(source)
	if err != nil {
		return err
	}
	for name, group := range groups {
		made := contested(name, group)
		if len(group) == 1 {
			made = group[0].policy(ctx, name, library, source, asked)
			p.noteLate(group[0].of, nil, made.cause)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("policy %s: %w", name, context.Cause(ctx)) // no fault of the policy
		}
		p.list = append(p.list, made)
	}
	return nil
}

// compileOne compiles a policy, or takes what it was compiled to.
func compileOne(ctx context.Context, w workshop, load *once.Load) (built, error) {
	key, ok := w.key()
	if !ok {
		load = nil
	}
	return once.Get(ctx, load, key, func(ctx context.Context) (built, error) {
		ctx, cancel := context.WithTimeout(ctx, apart.CompileTimeout)
		defer cancel()
		return apart.Beside(ctx, func() (built, error) { return w.build(ctx) })
	})
}

// All are the policies by name. Nil has none.
func (p *Policies) All() []*Policy {
	if p == nil {
		return nil
	}
	return slices.Clone(p.list)
}

// Policy is the one of a name, nil when there is none.
func (p *Policies) Policy(name string) *Policy {
	i, ok := slices.BinarySearchFunc(p.list, name, func(p *Policy, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return nil
	}
	return p.list[i]
}

// checkData refuses documents where the product's own stand.
func checkData(data map[string]any) error {
	for _, root := range reserved() {
		if _, ok := data[root]; ok {
			return fmt.Errorf("data.%s: the document is the product's own", root)
		}
	}
	return nil
}

func (a Allow) check() error {
	for _, name := range a.Builtins {
		if !slices.Contains(Allowable(), name) {
			return fmt.Errorf("builtin %s: got one that nothing turns on, want one of %q", name, Allowable())
		}
	}
	for _, name := range a.Builtins {
		if Reaches(name) && len(a.Hosts) == 0 {
			return fmt.Errorf("builtin %s: got no hosts that it may reach, want at least one", name)
		}
	}
	return nil
}

// has says whether a document is there.
func has(data map[string]any, path []string) bool {
	var at any = data
	for _, part := range path {
		object, ok := at.(map[string]any)
		if !ok {
			return false
		}
		if at, ok = object[part]; !ok {
			return false
		}
	}
	return true
}

// conflicts is for the compiler: whether a document stands where a rule does.
func conflicts(ctx context.Context, store storage.Store) (func([]string) (bool, error), func(), error) {
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, nil, err
	}
	return storage.NonEmpty(ctx, store, txn), func() { store.Abort(ctx, txn) }, nil
}
