package wiring

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/cmd/assay/compiled"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
	"github.com/assay-dev/assay/rego/inline"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
)

// Compiler compiles policies as they are applied. It satisfies hook.Compiler,
// hook.OwnCompiler and hook.RootMaker.
type Compiler struct {
	// Serving is the set that serves.
	Serving *rego.Set
	// Sources are those of [Flags.SourcePrefixes].
	Sources []string
}

// Check compiles what the policy brings along. What it refers to is somewhere else.
func (c Compiler) Check(ctx context.Context, policy cip.Policy) (problems, warnings []string) {
	problems = outside(policy, c.Sources)
	for _, source := range compile.Sources(policy) {
		if source.Text == "" {
			continue
		}
		module, err := inline.Compile(ctx, source.Package, source.Text)
		if err != nil {
			problems = append(problems, source.Field+": "+err.Error())
		} else if !module.Answers() {
			warnings = append(warnings, source.Field+": no rule isCompliant: it fails whatever it judges")
		}
	}
	unread := unreadCUE(ctx, policy, nil)
	for _, path := range slices.Sorted(maps.Keys(unread)) {
		problems = append(problems, path+": "+unread[path])
	}
	return problems, warnings
}

// CheckRoot makes the root of a TrustRoot as serving it would, but for one that has to be fetched.
func (c Compiler) CheckRoot(root cip.TrustRoot) (problem string) {
	spec := root.Spec
	switch {
	case spec.Repository != nil:
		archive, err := trust.OpenArchive(*spec.Repository, time.Now())
		if err != nil {
			return "spec.repository: " + err.Error()
		}
		if serving, cause := archive.Serving(time.Now()); serving == nil {
			return "spec.repository: " + cause
		}
	case spec.SigstoreKeys != nil:
		if _, err := trust.FromKeys(spec.SigstoreKeys); err != nil {
			return "spec.sigstoreKeys: " + err.Error()
		}
	}
	return ""
}

// CheckRego compiles a policy in plain Rego as the set that serves would, and looks there
// for another of its package.
func (c Compiler) CheckRego(ctx context.Context, policy resource.RegoPolicy) (problems, warnings []string) {
	var source rego.Source
	var serving []*raw.Policy
	if c.Serving != nil {
		of := c.Serving.Source()
		source.Config, source.V0, source.Allow, source.Namespaces, serving = of.Config, of.V0, of.Allow, of.Namespaces, c.Serving.Raw()
	}
	object := regoObject(policy)
	source.Objects = []raw.Object{object}
	text, err := compiled.Text(ctx, source)
	if err != nil {
		return []string{err.Error()}, nil
	}
	for _, made := range text.PlainRego() {
		if failure := made.Failure(); failure != nil {
			problems = append(problems, "spec.modules: "+failure.Message)
			continue
		}
		for _, other := range serving {
			owners := slices.DeleteFunc(other.Objects(), func(name string) bool { return name == object.Name })
			if other.Name != made.Name || len(owners) == 0 {
				continue
			}
			if owners[0] == "" {
				owners[0] = "a file"
			}
			problems = append(problems, fmt.Sprintf("spec.modules: the policy %s is %s already: want a package of its own", made.Name, owners[0]))
		}
	}
	for _, u := range text.Unasked() {
		warnings = append(warnings, fmt.Sprintf("%s:%d: nobody asks %s of package %s: it is a library that the policy does not import", u.File, u.Line, u.Rule, u.Package))
	}
	return problems, warnings
}

// regoObject is the policy as the engine takes it.
func regoObject(p resource.RegoPolicy) raw.Object {
	return raw.Object{Name: p.String(), Modules: p.Modules(), Data: p.Spec.Data, Refused: p.Refused}
}

// CheckPaths says which others are about the kind.
func (c Compiler) CheckPaths(paths resource.WorkloadPaths) (problems []string) {
	if c.Serving == nil {
		return nil
	}
	for _, problem := range meeting(paths, c.Serving.Source().Workloads) {
		problems = append(problems, "spec.kind: "+problem)
	}
	return problems
}

// meeting says which of all are about the kind of some, but for those of that name.
func meeting(paths resource.WorkloadPaths, all []resource.WorkloadPaths) (problems []string) {
	for _, other := range all {
		if other.Name != paths.Name {
			problems = append(problems, met(paths, other, other.String())...)
		}
	}
	return problems
}

// met says whether one other is.
func met(paths, other resource.WorkloadPaths, called string) []string {
	if !paths.Meets(other) {
		return nil
	}
	return []string{fmt.Sprintf("%s are about %s of %s already: of two its objects are denied", called, paths.Spec.Kind, paths.Spec.Group)}
}
