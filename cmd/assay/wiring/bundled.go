package wiring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
)

// Bundled is what active bundles bring.
type Bundled struct {
	// Resources are Kubernetes objects in JSON by their place, which begins with the bundle.
	Resources map[string][]byte
	// Modules are the Rego files by path, and V0 says that one of them is Rego v0.
	Modules map[string]string
	V0      bool
	// Data are the documents that they see.
	Data map[string]any
}

// addBundled adds what bundles bring to what files have. Of what both have neither is
// dropped: it is an error, which names both. So is what would change the policies in Rego
// of files: whoever writes bundles has no say in those.
func (d *Documents) addBundled(ctx context.Context, b Bundled) error {
	var errs []error
	d.bundled, d.v0, d.fromBundles = map[string]bool{}, b.V0, b.Modules
	for _, place := range slices.Sorted(maps.Keys(b.Resources)) {
		if err := d.addWithoutSecrets(place, b.Resources[place]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", place, err))
		}
	}
	for id, place := range d.names {
		if _, of := b.Resources[place]; of {
			d.bundled[id] = true
		}
	}
	texts := maps.Clone(b.Modules)
	maps.DeleteFunc(texts, func(path, _ string) bool { return strings.HasSuffix(path, "_test.rego") })
	if err := (raw.Beside{Modules: d.modules, Documents: d.places, Others: texts, Data: b.Data}).Mixed(ctx); err != nil {
		errs = append(errs, err)
	}
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		if _, taken := d.modules[path]; taken {
			errs = append(errs, fmt.Errorf("%s is a file and in a bundle: want one of them", path))
		}
		d.modules[path] = texts[path]
	}
	if err := sources.Merge(d.Data, b.Data, "data"); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// addWithoutSecrets adds the resources in a text. Whoever reads a bundle reads what is in it.
func (d *Documents) addWithoutSecrets(place string, text []byte) error {
	before := len(d.sources.Secrets)
	if err := d.add(place, text); err != nil {
		return err
	}
	if secrets := d.sources.Secrets[before:]; len(secrets) > 0 {
		return fmt.Errorf("want no Secrets in a bundle, got %s: a public key has its place in key.data", secrets[0].FullName())
	}
	return nil
}

// RegoInFiles counts the policies in Rego of a set that files have, and no bundle has alone.
func (d *Documents) RegoInFiles(set *rego.Set) (n int) {
	for _, policy := range set.Raw() {
		if slices.ContainsFunc(policy.Files(), func(file string) bool { _, ofBundle := d.fromBundles[file]; return !ofBundle }) {
			n++
		}
	}
	return n
}

// outrank puts an object of the cluster among those that files and bundles have. Of one name,
// that of a file serves, which is what whoever runs the program gave it, and that of a bundle
// does not: whoever writes bundles would choose what policies of the cluster rely on.
func outrank[T any](d *Documents, all []T, object T, id string, same func(T) bool) ([]T, bool) {
	i := slices.IndexFunc(all, same)
	switch {
	case i < 0:
		return append(all, object), true
	case !d.bundled[id]:
		return all, false
	}
	d.clash(id)
	all[i] = object
	return all, true
}

// clash notes that an object of the cluster is used in the place of what a bundle brought.
func (d *Documents) clash(id string) {
	d.clashes = append(d.clashes, id)
	d.Warnings = append(d.Warnings, d.clashed(id)+", which is used in its place")
}

func (d *Documents) clashed(id string) string {
	return fmt.Sprintf("%s: %s is an object of the cluster too", d.names[id], id)
}

// outrankWorkloads takes out what bundles have of those names.
func (d *Documents) outrankWorkloads(objects []resource.WorkloadPaths) {
	for _, object := range objects {
		if id := object.String(); d.bundled[id] {
			d.clash(id)
			d.workloads = slices.DeleteFunc(d.workloads, func(of resource.WorkloadPaths) bool { return of.Name == object.Name })
		}
	}
}

// Sets are the one that is to serve, and the one that does.
type Sets struct{ Next, Before *rego.Set }

// Broken says what of the bundles fails whatever it judges, or may not be used beside what the
// cluster has, and which policies in Rego, whoever has them, fail that do not in the set that serves: a
// bundle with any of that does not take the place of one without. settled says of the place of a
// resource that its bundle was active before: what the cluster has came later then, and is used in its
// place, as it would be if the program had not ended in between.
func (d *Documents) Broken(sets Sets, modules map[string]string, settled func(place string) bool) error {
	var errs []error
	sound := map[string]bool{}
	for _, policy := range sets.Before.Raw() {
		sound[policy.Name] = policy.Failure() == nil
	}
	for name, causes := range sets.Next.Uncompiled() {
		errs = append(errs, d.broken(name, causes)...)
	}
	for name, causes := range d.unread {
		errs = append(errs, d.broken(name, causes)...)
	}
	for _, policy := range sets.Next.Raw() {
		file, _ := policy.Place()
		failure := policy.Failure()
		if failure == nil || !slices.Contains(policy.Objects(), "") {
			continue
		}
		// Wherever the failure of one of theirs is: a library of files may be what does not go with it.
		ofBundle := slices.ContainsFunc(append(policy.Files(), file), func(of string) bool { return modules[of] != "" })
		if ofBundle || sound[policy.Name] {
			errs = append(errs, fmt.Errorf("policy %s: %s", policy.Name, failure.Message))
		}
	}
	for _, id := range d.clashes {
		if !settled(d.names[id]) {
			errs = append(errs, errors.New(d.clashed(id)))
		}
	}
	for _, paths := range d.workloads[:d.ofFiles] {
		if !d.bundled[paths.String()] || settled(d.names[paths.String()]) {
			continue
		}
		for _, problem := range meeting(paths, d.workloads[d.ofFiles:]) {
			errs = append(errs, fmt.Errorf("%s: %s", d.names[paths.String()], problem))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func (d *Documents) broken(policy string, causes map[string]string) (errs []error) {
	for _, of := range d.Policies {
		if of.Name != policy || !d.bundled[of.String()] {
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(causes)) {
			errs = append(errs, fmt.Errorf("%s: %s: %s: %s", d.names[of.String()], of.String(), path, causes[path]))
		}
	}
	return errs
}
