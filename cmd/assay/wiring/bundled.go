package wiring

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
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
// dropped: it is an error, which names both.
func (d *Documents) addBundled(b Bundled) error {
	var errs []error
	d.bundled, d.v0, d.fromBundles = map[string]bool{}, b.V0, b.Modules
	for _, place := range slices.Sorted(maps.Keys(b.Resources)) {
		before := len(d.Policies)
		if err := d.addWithoutSecrets(place, b.Resources[place]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", place, err))
		}
		for _, policy := range d.Policies[before:] {
			d.bundled[policy.String()] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(b.Modules)) {
		if _, taken := d.modules[path]; taken {
			errs = append(errs, fmt.Errorf("%s is a file and in a bundle: want one of them", path))
		}
		if !strings.HasSuffix(path, "_test.rego") {
			d.modules[path] = b.Modules[path]
		}
	}
	if err := sources.Merge(d.Data, b.Data, "data"); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// addWithoutSecrets adds the resources in a text. Whoever reads a bundle reads what is in it.
func (d *Documents) addWithoutSecrets(place string, text []byte) error {
	if parsed, err := cip.Parse(text); err == nil && len(parsed.Secrets) > 0 {
		return fmt.Errorf("want no Secrets in a bundle, got %s: a public key has its place in key.data", parsed.Secrets[0].FullName())
	}
	return d.add(place, text)
}

// RegoInFiles counts the policies in Rego of a set that files have.
func (d *Documents) RegoInFiles(set *rego.Set) (n int) {
	for _, policy := range set.Raw() {
		file, _ := policy.Place()
		if _, ofBundle := d.fromBundles[file]; !ofBundle && slices.Contains(policy.Objects(), "") {
			n++
		}
	}
	return n
}

// Broken says what of the bundles fails whatever it judges: a bundle with such a policy does
// not take the place of one without.
func (d *Documents) Broken(set *rego.Set, modules map[string]string) error {
	var errs []error
	for name, causes := range set.Uncompiled() {
		errs = append(errs, d.broken(name, causes)...)
	}
	for name, causes := range d.unread {
		errs = append(errs, d.broken(name, causes)...)
	}
	for _, policy := range set.Raw() {
		file, _ := policy.Place()
		_, ofBundle := modules[file]
		if failure := policy.Failure(); failure != nil && ofBundle && slices.Contains(policy.Objects(), "") {
			errs = append(errs, fmt.Errorf("policy %s: %s", policy.Name, failure.Message))
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
