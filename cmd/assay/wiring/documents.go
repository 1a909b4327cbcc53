package wiring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/cmd/assay/allow"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
)

// Documents are all resources of the files given with --policy and --trustroot.
type Documents struct {
	Policies []cip.Policy
	Warnings []string
	Named    NamedRoots // of roots, once they are wired
	roots    []cip.TrustRoot
	sources  keys.Sources // what policies refer to
	// referring are the policies as they were before that was put in its place.
	referring []cip.Policy
	// pullSecrets are those among the Secrets that hold credentials of registries.
	pullSecrets pullSecrets
	// modules are the policies in Rego by file, and data the documents beside them.
	modules map[string]string
	Data    map[string]any
	// places are where below data the documents of files stand.
	places [][]string
	// objects are the policies in Rego that are objects of the cluster.
	objects []raw.Object
	// workloads say where the images of custom kinds stand.
	workloads []resource.WorkloadPaths
	// names is the file of each resource, by kind and name.
	names map[string]string
	// cluster says that objects of a cluster are among them, and noMatch what its
	// settings say.
	cluster bool
	noMatch string
	// ofFiles are those of workloads that files and bundles have, beside a cluster.
	ofFiles int
	// load is the reading of policies that this is, nil where nothing is kept of it.
	load *once.Load
	// unread says which CUE of a policy cannot be read, and why, by its name and path.
	unread map[string]map[string]string
	// bundled are the resources that bundles brought, by kind and name, and v0 says that Rego
	// of theirs is v0. clashes says which of them are objects of the cluster too.
	bundled map[string]bool
	// fromBundles are their Rego files.
	fromBundles map[string]string
	v0          bool
	clashes     []string
}

// ReadDocuments reads files, and what directories stand for. All that is wrong is
// reported at once, each with its file.
func ReadDocuments(paths []string) (*Documents, error) {
	files, err := sources.Find(paths)
	if err != nil {
		return nil, err
	}
	out := &Documents{pullSecrets: pullSecrets{}, names: map[string]string{}}
	var errs []error
	out.modules, err = files.Modules()
	errs = append(errs, err)
	out.Data, err = files.Documents()
	errs = append(errs, err)
	out.places = files.Places()
	for _, file := range files.Resources {
		if err := out.read(file); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	return out, errors.Join(errs...)
}

func (d *Documents) read(file string) error {
	data, err := sources.Read(file, sources.MaxFile)
	if err != nil {
		return err
	}
	return d.add(file, data)
}

// add adds the resources in a text, which stands at a place.
func (d *Documents) add(file string, data []byte) error {
	parsed, err := cip.Parse(data)
	if err != nil {
		return err
	}
	once := func(kind, name string) error {
		id := kind + " " + name
		if first, twice := d.names[id]; twice {
			return fmt.Errorf("%s is in %s too", id, first)
		}
		d.names[id] = file
		return nil
	}
	for _, policy := range parsed.Policies {
		if err := once(policy.Kind(), policy.Name); err != nil {
			return err
		}
		d.Policies = append(d.Policies, policy)
	}
	for _, resource := range parsed.TrustRoots {
		if err := once("TrustRoot", resource.Name); err != nil {
			return err
		}
		d.roots = append(d.roots, resource)
	}
	for _, secret := range parsed.Secrets {
		if err := once("Secret", secret.FullName()); err != nil {
			return err
		}
		d.sources.Secrets = append(d.sources.Secrets, secret)
		if err := d.pullSecrets.add(secret.Namespace, secret.Name, secret.Type, secret.Data); err != nil {
			return err
		}
	}
	for _, configMap := range parsed.ConfigMaps {
		if err := once("ConfigMap", configMap.FullName()); err != nil {
			return err
		}
		d.sources.ConfigMaps = append(d.sources.ConfigMaps, configMap)
	}
	for _, other := range parsed.Others {
		if err := once(other.Kind, other.Name); err != nil {
			return err
		}
	}
	workloads, err := Workloads(parsed)
	if err != nil {
		return err
	}
	d.workloads = append(d.workloads, workloads...)
	for _, warning := range parsed.Warnings {
		d.Warnings = append(d.Warnings, file+": "+warning)
	}
	return nil
}

// InFiles counts the policies that files have.
func (d *Documents) InFiles() (n int) {
	for _, policy := range d.Policies {
		if d.names[policy.String()] != "" && !d.bundled[policy.String()] {
			n++
		}
	}
	return n
}

// Workloads are the WorkloadPaths among documents. It refuses what else our own group has:
// policies in Rego are files of their own.
func Workloads(parsed *cip.Documents) (out []resource.WorkloadPaths, err error) {
	for _, other := range parsed.Others {
		if other.Kind == resource.RegoPolicyKind {
			return nil, fmt.Errorf("%s %s: want its modules as files of their own, for it is an object of a cluster", other.Kind, other.Name)
		}
		read, err := resource.ReadWorkloadPaths(other.Tree)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", other.Kind, other.Name, err)
		}
		out = append(out, read)
	}
	return out, nil
}

// Resolve puts in place what the policies refer to. What cannot be read is a gap
// of its policy, and no reason to leave the policy out.
func (d *Documents) Resolve(ctx context.Context, resolver *keys.Resolver) {
	d.undefined()
	policies, warnings := resolver.Resolve(ctx, d.Policies, d.sources)
	d.referring, d.Policies, d.Warnings = d.Policies, policies, append(d.Warnings, warnings...)
}

// readCUE notes, and warns of, the CUE in policies that cannot be read.
func (d *Documents) readCUE(ctx context.Context) {
	d.unread = map[string]map[string]string{}
	for _, policy := range d.Policies {
		unread := unreadCUE(ctx, policy, d.load)
		d.unread[policy.Name] = unread
		for _, path := range slices.Sorted(maps.Keys(unread)) {
			if unread[path] == once.ErrLater.Error() {
				continue // nobody knows yet
			}
			d.Warnings = append(d.Warnings, fmt.Sprintf("policy %s: %s fails whatever it judges: %s", policy.Name, path, unread[path]))
		}
	}
}

// needs reports whether any policy relies on the root; the empty name is the
// default one.
func (d *Documents) needs(root string) bool {
	return slices.ContainsFunc(d.Policies, func(p cip.Policy) bool { return reliesOn(p, root) })
}

func reliesOn(p cip.Policy, root string) bool {
	return slices.ContainsFunc(p.Spec.Authorities, func(a cip.Authority) bool {
		return slices.Contains(sigstore.TrustRootRefs(a), root)
	})
}

// Requires reports whether a policy of all relies on the default root: a webhook without it
// is not ready. That of a namespace fails there and holds up nobody else.
func (d *Documents) Requires() bool {
	return slices.ContainsFunc(d.Policies, func(p cip.Policy) bool { return p.Namespace == "" && reliesOn(p, "") })
}

// undefined warns of every trustRootRef that nothing defines.
func (d *Documents) undefined() {
	where := "in the policy files"
	if d.cluster {
		where = "in the cluster"
	}
	for _, policy := range d.Policies {
		at := "policy " + policy.Name
		if file := d.names[policy.String()]; file != "" {
			at = file + ": " + at
		}
		for i, authority := range policy.Spec.Authorities {
			for _, ref := range sigstore.TrustRootRefs(authority) {
				if ref != "" && !slices.ContainsFunc(d.roots, func(r cip.TrustRoot) bool { return r.Name == ref }) {
					d.Warnings = append(d.Warnings, fmt.Sprintf(
						"%s: spec.authorities[%d]: trustRootRef %s not found %s: whatever relies on it is denied", at, i, ref, where))
				}
			}
		}
	}
}

// Generation names what is no part of the compiled policies: the TrustRoots and of which of
// them no root could be made, and the Secrets, whose credentials may be for registries.
func (d *Documents) Generation() string {
	return contentOf(d.roots...) + fmt.Sprintf("%q", d.Named.unmade()) + d.sources.Generation()
}

// Source are the policies of a set, with what they may do.
func (d *Documents) Source(flags allow.Flags) rego.Source {
	out := rego.Source{Policies: d.Policies, Modules: d.modules, Data: d.Data, Objects: d.objects, Workloads: d.workloads}
	flags.Into(&out)
	out.V0 = out.V0 || d.v0
	return out
}
