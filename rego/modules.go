package rego

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
	"github.com/assay-dev/assay/rego/inline"
	"github.com/assay-dev/assay/rego/lib"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/rego/raw"
)

// Text is what a policy set consists of, to be read.
type Text struct {
	// Modules are the library, the compiled policies, their index and the modules
	// that policies brought along, by path.
	Modules map[string]string
	// V0 are the paths of those modules that are Rego v0: what v1 cannot say.
	V0 []string
	// Raw are the paths of policies in plain Rego, and of the libraries beside them.
	Raw []string
	// Warnings are about policies that compile and fail whatever they judge,
	// because something of theirs could not be read or does not compile.
	Warnings []string
	// Uncompiled says why a module inside a policy does not compile, by the name of the
	// policy and the path of what fails for it.
	Uncompiled map[string]map[string]string

	policies []string
	inline   map[string]*inline.Module // by the name that compiled policies use
	raw      *raw.Policies
	load     *once.Load            // nil makes everything anew
	readers  readers               // of the labels of namespaces
	late     map[string]cip.Policy // with the gaps for what is not compiled yet
}

// Modules compiles policies to text. The modules inside them are compiled each by
// itself: one that does not compile is the failure of its own policy, with the
// cause, and of no other.
func Modules(ctx context.Context, policies []cip.Policy) (*Text, error) {
	return modules(ctx, policies, nil, true)
}

// modules takes from a load what is made already. placed says that there are labels of namespaces: what
// wants them where there are none fails.
func modules(ctx context.Context, policies []cip.Policy, load *once.Load, placed bool) (*Text, error) {
	library, err := lib.Modules()
	if err != nil {
		return nil, err
	}
	out := &Text{Modules: library, inline: map[string]*inline.Module{}, load: load, late: map[string]cip.Policy{}}
	var errs []error
	for _, p := range policies {
		if compile.ReadsNamespaces(p) {
			if out.readers.add(p.Namespace); !placed {
				p = unplaced(p)
			}
		}
		if err := out.add(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	index, err := compile.Index(policies)
	if err != nil {
		return nil, err
	}
	out.Modules[index.Path] = index.Text
	slices.Sort(out.policies)
	slices.Sort(out.V0)
	slices.Sort(out.Warnings)
	return out, nil
}

// unplaced has all fail that could read labels of namespaces.
func unplaced(p cip.Policy) cip.Policy {
	p.Gaps = maps.Clone(p.Gaps)
	if p.Gaps == nil {
		p.Gaps = map[string]string{}
	}
	const cause = "it reads namespaceLabels, and there are neither a cluster nor data.assay.namespaces to have them"
	if p.Spec.Policy != nil {
		p.Gaps["spec.policy"] = cause
	}
	for i, a := range p.Spec.Authorities {
		if len(a.Attestations) > 0 {
			p.Gaps[fmt.Sprintf("spec.authorities[%d]", i)] = cause
		}
	}
	return p
}

func (t *Text) add(ctx context.Context, p cip.Policy) error {
	p, err := t.addInline(ctx, p)
	if err != nil {
		return err
	}
	module, err := t.written(ctx, p)
	if err != nil {
		return err
	}
	if _, twice := t.Modules[module.Path]; twice {
		return fmt.Errorf("policy %s: there are two of that name", p.Name)
	}
	t.policies = append(t.policies, p.Name)
	t.Modules[module.Path] = module.Text
	for _, part := range slices.Sorted(maps.Keys(p.Gaps)) {
		t.Warnings = append(t.Warnings, fmt.Sprintf("policy %s: %s fails whatever it judges: %s", p.Name, part, p.Gaps[part]))
	}
	return nil
}

// written is the policy as a module. Its time is bounded by its size, so that it is waited for.
func (t *Text) written(ctx context.Context, p cip.Policy) (compile.Module, error) {
	said, err := json.Marshal(p)
	if err != nil {
		return compile.Module{}, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	return once.Get(ctx, t.load.Patiently(), once.KeyOf("ClusterImagePolicy", said), func(context.Context) (compile.Module, error) {
		return compile.Policy(p)
	})
}

// compiledInline compiles a module inside a policy, or takes what it was compiled to.
func (t *Text) compiledInline(ctx context.Context, p cip.Policy, source compile.Source) (*inline.Module, error) {
	load := t.load
	if p.Namespace != "" {
		load = load.Owned()
	}
	key := once.KeyOf("inline", append(slices.Clone(source.Package), source.Text)...)
	return once.Get(ctx, load, key, func(ctx context.Context) (*inline.Module, error) {
		return inline.Compile(ctx, source.Package, source.Text)
	})
}

// addInline compiles the modules inside a policy and notes in its Gaps those that
// do not compile.
func (t *Text) addInline(ctx context.Context, p cip.Policy) (cip.Policy, error) {
	for _, source := range compile.Sources(p) {
		module, err := t.compiledInline(ctx, p, source)
		if ctx.Err() != nil { // no fault of the policy
			return p, fmt.Errorf("policy %s: %s: %w", p.Name, source.Field, context.Cause(ctx))
		}
		if err != nil {
			cause := err.Error()
			if source.Gap != source.Field { // an authority fails with its attestation's policy
				cause = fmt.Sprintf("failed evaluating rego policy for type %s: %s", source.Name, cause)
			}
			p.Gaps = maps.Clone(p.Gaps)
			if p.Gaps == nil {
				p.Gaps = map[string]string{}
			}
			p.Gaps[source.Gap] = cause
			t.uncompiled(p.Name, source.Gap, cause)
			if errors.Is(err, once.ErrLater) {
				t.late[p.Name] = p
			}
			continue
		}
		if !module.Answers() {
			t.Warnings = append(t.Warnings, fmt.Sprintf("policy %s: %s fails whatever it judges: no rule isCompliant", p.Name, source.Field))
		}
		t.inline[source.Module()] = module
		t.Modules[module.Path()] = module.Text()
		if module.Version() == 0 {
			t.V0 = append(t.V0, module.Path())
		}
	}
	return p, nil
}

func (t *Text) uncompiled(policy, path, cause string) {
	if t.Uncompiled == nil {
		t.Uncompiled = map[string]map[string]string{}
	}
	if t.Uncompiled[policy] == nil {
		t.Uncompiled[policy] = map[string]string{}
	}
	t.Uncompiled[policy][path] = cause
}

// waiting is the source as the text says it: with the gaps for what is not compiled yet, so
// that whoever compiles the source of the set gets the same one.
func (t *Text) waiting(source Source) Source {
	if len(t.late) > 0 {
		source.Policies = slices.Clone(source.Policies)
		for i, p := range source.Policies {
			if late, ok := t.late[p.Name]; ok {
				source.Policies[i] = late
			}
		}
	}
	source.Objects = t.raw.Waiting(source.Objects)
	return source
}

// Manifest is the .manifest of a bundle of the modules: which Rego they are written
// in (OPA, bundles, file_rego_versions).
func (t *Text) Manifest() []byte {
	manifest := struct {
		RegoVersion      int            `json:"rego_version"`
		FileRegoVersions map[string]int `json:"file_rego_versions,omitempty"`
	}{RegoVersion: 1, FileRegoVersions: map[string]int{}}
	for _, path := range t.V0 {
		manifest.FileRegoVersions["/"+path] = 0
	}
	out, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		panic("manifest: " + err.Error()) // numbers and strings marshal
	}
	return append(out, '\n')
}

// Failing are the policies in plain Rego that do not compile.
func (t *Text) Failing() []*raw.Policy {
	return slices.DeleteFunc(t.raw.All(), func(p *raw.Policy) bool { return p.Failure() == nil })
}

// PlainRego are all policies in plain Rego.
func (t *Text) PlainRego() []*raw.Policy { return t.raw.All() }

// Unasked are the files in Rego that read like policies and are none.
func (t *Text) Unasked() []raw.Unasked { return t.raw.Unasked() }

// AddRaw takes in the policies in plain Rego of a source, each compiled by itself.
func (t *Text) AddRaw(ctx context.Context, source Source) error {
	if _, err := source.knownNamespaces(); err != nil {
		return err
	}
	library, err := lib.Modules()
	if err != nil {
		return err
	}
	t.raw, err = raw.Compile(ctx, raw.Source{
		Modules: source.Modules, V0: source.V0, Data: source.others(), Objects: source.Objects, Namespaces: source.hasNamespaces(),
		Config: source.config(), Library: library, Allow: source.Allow, Load: source.Load,
	})
	if err != nil {
		return err
	}
	for _, p := range t.raw.All() {
		if p.ReadsNamespaces() {
			t.readers.add("")
		}
		if failure := p.Failure(); failure != nil {
			t.Warnings = append(t.Warnings, fmt.Sprintf("policy %s: fails whatever it judges: %s", p.Name, failure.Message))
		}
	}
	for _, u := range t.raw.Unasked() {
		t.Warnings = append(t.Warnings, fmt.Sprintf("%s:%d: nobody asks %s of package %s: got a library that no policy imports, want package policies.NAME",
			u.File, u.Line, u.Rule, u.Package))
	}
	for _, module := range t.raw.Texts() {
		if _, taken := t.Modules[module.Path]; taken {
			return fmt.Errorf("%s: %s: the path is the product's own", module.File, module.Path)
		}
		t.Modules[module.Path] = module.Text
		t.Raw = append(t.Raw, module.Path)
		if module.V0 {
			t.V0 = append(t.V0, module.Path)
		}
	}
	slices.Sort(t.V0)
	slices.Sort(t.Raw)
	slices.Sort(t.Warnings)
	return nil
}

// forPolicies is where the library lies that policies in plain Rego import, each into
// a compiler of its own: a third of the time to compile a small set.
const forPolicies = "lib/assay/lib/"

// forExplanations is what a set that explains has more than others.
const forExplanations = "lib/assay/explain/"

// compiled are the modules that decide together: all but those that policies
// brought along and policies in plain Rego, which are asked each by itself, and the
// library for these; and, unless they explain too, what explains.
func (t *Text) compiled(explaining bool) map[string]string {
	out := maps.Clone(t.Modules)
	for _, module := range t.inline {
		delete(out, module.Path())
	}
	for _, path := range t.Raw {
		delete(out, path)
	}
	maps.DeleteFunc(out, func(path, _ string) bool {
		return strings.HasPrefix(path, forPolicies) || !explaining && strings.HasPrefix(path, forExplanations)
	})
	return out
}
