package suite

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
	"github.com/assay-dev/assay/world"
)

// policies are the resources of a run.
type policies struct {
	cips    []cip.Policy
	sources keys.Sources
	// roots are TrustRoots that are taken as they are: those of a fixture.
	roots    []cip.TrustRoot
	warnings []string
	// modules are the policies in Rego and their libraries by file, data the documents
	// that they see.
	modules map[string]string
	data    map[string]any
	v0      bool // modules may be Rego v0
	// workloads say where the images of custom kinds stand.
	workloads []resource.WorkloadPaths

	from map[string]string // the file by kind and name
}

// readPolicies reads the files with resources, and the Rego that the engine gets. Of one
// kind and name there is one.
func readPolicies(found *loaded) (*policies, error) {
	out := &policies{from: map[string]string{}, v0: found.v0}
	var errs []error
	own := found.rego
	own.Rego = slices.DeleteFunc(slices.Clone(own.Rego), func(path string) bool { return ours(found.modules[path]) })
	var err error
	out.modules, err = own.Modules()
	errs = append(errs, err)
	out.data, err = own.Documents()
	errs = append(errs, err)
	for _, manifest := range found.manifests {
		parsed, err := cip.Parse([]byte(manifest.Text))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", manifest.Origin, err))
			continue
		}
		errs = append(errs, out.add(manifest.Origin, parsed))
	}
	out.roots = nil // the world's stands in for each
	return out, errors.Join(errs...)
}

// ours says whether a module is the library or what a policy was compiled to, as
// `assay compile -o` writes them: the engine has its own.
func ours(module *ast.Module) bool {
	if module == nil || len(module.Package.Path) < 2 {
		return false
	}
	root, _ := module.Package.Path[1].Value.(ast.String)
	return slices.Contains([]string{"assay", "cip", "cip_index", "sigstore"}, string(root))
}

// readExpanded reads the resources of a fixture, with the world's variables in place.
func readExpanded(w *world.World, file *fixture.File) (*policies, error) {
	out := &policies{from: map[string]string{}}
	var errs []error
	for _, manifest := range file.Resources {
		parsed, err := cip.Parse([]byte(file.ExpandManifest(w, manifest)))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", manifest.Origin, err))
			continue
		}
		errs = append(errs, out.add(manifest.Origin, parsed))
	}
	return out, errors.Join(errs...)
}

func (p *policies) add(file string, parsed *cip.Documents) error {
	var errs []error
	for _, id := range idsOf(parsed) {
		if first, twice := p.from[id]; twice {
			errs = append(errs, fmt.Errorf("%s: %s is in %s too", file, id, first))
		}
		p.from[id] = file
	}
	workloads, err := wiring.Workloads(parsed)
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", file, err))
	}
	p.workloads = append(p.workloads, workloads...)
	p.cips = append(p.cips, parsed.Policies...)
	p.roots = append(p.roots, parsed.TrustRoots...)
	p.sources.Secrets = append(p.sources.Secrets, parsed.Secrets...)
	p.sources.ConfigMaps = append(p.sources.ConfigMaps, parsed.ConfigMaps...)
	for _, warning := range parsed.Warnings {
		p.warnings = append(p.warnings, file+": "+warning)
	}
	return errors.Join(errs...)
}

func policyID(p cip.Policy) string       { return p.String() }
func rootID(r cip.TrustRoot) string      { return "TrustRoot " + r.Name }
func secretID(s cip.Secret) string       { return "Secret " + s.FullName() }
func configMapID(c cip.ConfigMap) string { return "ConfigMap " + c.FullName() }

func idsOf(parsed *cip.Documents) (out []string) {
	for _, resource := range parsed.Policies {
		out = append(out, policyID(resource))
	}
	for _, resource := range parsed.TrustRoots {
		out = append(out, rootID(resource))
	}
	for _, resource := range parsed.Secrets {
		out = append(out, secretID(resource))
	}
	for _, resource := range parsed.ConfigMaps {
		out = append(out, configMapID(resource))
	}
	for _, other := range parsed.Others {
		out = append(out, other.Kind+" "+other.Name)
	}
	return out
}

// replacedBy are the resources with those of a fixture among them, in the place of
// those with the same kind and name.
func (p *policies) replacedBy(own *policies) *policies {
	return &policies{
		cips: replaced(p.cips, own.cips, policyID, own.from),
		sources: keys.Sources{
			Secrets:    replaced(p.sources.Secrets, own.sources.Secrets, secretID, own.from),
			ConfigMaps: replaced(p.sources.ConfigMaps, own.sources.ConfigMaps, configMapID, own.from),
		},
		roots:     own.roots,
		warnings:  own.warnings,
		modules:   p.modules,
		data:      p.data,
		v0:        p.v0,
		workloads: replaced(p.workloads, own.workloads, resource.WorkloadPaths.String, own.from),
	}
}

func replaced[T any](all, own []T, id func(T) string, taken map[string]string) []T {
	kept := slices.DeleteFunc(slices.Clone(all), func(resource T) bool {
		_, ok := taken[id(resource)]
		return ok
	})
	return append(kept, own...)
}

// refs are the trust roots that policies name.
func (p *policies) refs() []string {
	var out []string
	for _, policy := range p.cips {
		for _, authority := range policy.Spec.Authorities {
			for _, ref := range sigstore.TrustRootRefs(authority) {
				if ref != "" && !slices.Contains(out, ref) {
					out = append(out, ref)
				}
			}
		}
	}
	return out
}
