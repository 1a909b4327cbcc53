package bundles

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/strict"
)

// content is what goes into a bundle.
type content struct {
	files    map[string][]byte
	from     map[string]string // the file that each is of
	roots    []string
	versions map[string]int // of Rego, where it is not v1
	modules  []*ast.Module
	trust    []cip.TrustRoot
}

// gather reads what the paths stand for. Requires that [wiring.ReadDocuments] has read them
// without an error: what that refuses is not refused again.
func gather(paths []string, tests, v0 bool) (*content, error) {
	found, err := sources.Find(paths)
	if err != nil {
		return nil, err
	}
	out := &content{files: map[string][]byte{}, from: map[string]string{}, versions: map[string]int{}}
	var errs []error
	for _, file := range found.Resources {
		if err := out.addResources(file); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	for _, document := range found.Data {
		if err := out.addDocument(document); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", document.Path, err))
		}
	}
	modules := found.Rego
	if tests {
		modules = slices.Concat(modules, found.Tests)
	}
	for _, file := range modules {
		if err := out.addModule(file, under(paths, file), v0); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	out.roots = minimal(out.roots)
	if err := errors.Join(append(errs, archive.Reserved(out.roots))...); err != nil {
		return nil, err
	}
	if len(out.files) == 0 {
		return nil, fmt.Errorf("%s: got no policy and no data", strings.Join(paths, ", "))
	}
	return out, nil
}

// under is the path of a file below the first path that it was found by.
func under(paths []string, file string) string {
	for _, path := range paths {
		if relative, err := filepath.Rel(path, file); err == nil && filepath.IsLocal(relative) && relative != "." {
			return filepath.ToSlash(relative)
		}
	}
	return filepath.Base(file)
}

// add takes a file. Two of one path would be one.
func (c *content) add(name string, text []byte, from string) error {
	if other, taken := c.from[name]; taken {
		return fmt.Errorf("it would be %s in the bundle, which is of %s: want one directory, whose parts they are", name, other)
	}
	c.files[name], c.from[name] = text, from
	return nil
}

// addResources takes each object by itself, at resources/KIND/NAME or, where it has a
// namespace, resources/KIND/NAMESPACE/NAME.
func (c *content) addResources(file string) error {
	text, err := sources.Read(file, sources.MaxFile)
	if err != nil {
		return err
	}
	objects, err := strict.Documents(text)
	if err != nil {
		return err
	}
	for _, object := range objects {
		parsed, err := cip.Parse(object)
		if err != nil {
			return err
		}
		place, err := placeOf(parsed)
		if err != nil {
			return err
		}
		root := "resources/" + place
		if err := c.add(root+"/data.json", append(slices.Clone([]byte(object)), '\n'), file); err != nil {
			return err
		}
		c.roots = append(c.roots, root)
		c.trust = append(c.trust, parsed.TrustRoots...)
	}
	return nil
}

func placeOf(one *cip.Documents) (string, error) {
	switch {
	case len(one.Secrets) > 0:
		return "", fmt.Errorf("got the Secret %s: whoever reads the bundle would read it: want a public key as key.data of the authority, "+
			"and other Secrets in the cluster alone", one.Secrets[0].FullName())
	case len(one.Policies) > 0:
		return one.Policies[0].Kind() + "/" + one.Policies[0].Name, nil
	case len(one.TrustRoots) > 0:
		return "TrustRoot/" + one.TrustRoots[0].Name, nil
	case len(one.ConfigMaps) > 0:
		return "ConfigMap/" + one.ConfigMaps[0].FullName(), nil
	case len(one.Others) > 0:
		return one.Others[0].Kind + "/" + one.Others[0].Name, nil
	}
	return "", errors.New("got an object of no known kind")
}

func (c *content) addDocument(d sources.Document) error {
	text, err := d.JSON()
	if err != nil {
		return err
	}
	roots, err := archive.RootsOf(d.At, text)
	if err != nil {
		return err
	}
	c.roots = append(c.roots, roots...)
	return c.add(strings.Join(append(slices.Clone(d.At), "data.json"), "/"), append(text, '\n'), d.Path)
}

func (c *content) addModule(file, name string, v0 bool) error {
	text, err := sources.Read(file, sources.MaxFile)
	if err != nil {
		return err
	}
	module, err := ast.ParseModuleWithOpts(file, string(text), ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil && v0 {
		old, oldErr := ast.ParseModuleWithOpts(file, string(text), ast.ParserOptions{RegoVersion: ast.RegoV0})
		if oldErr == nil {
			module, err = old, nil
			c.versions[name] = 0
		}
		if strings.ContainsAny(name, `*?[]{}\!,`) {
			return fmt.Errorf("got the path %s, want one that is no pattern: the manifest says by it that the file is Rego v0", name)
		}
	}
	if err != nil {
		return err
	}
	root, err := archive.RootOf(module)
	if err != nil {
		return err
	}
	c.roots, c.modules = append(c.roots, root), append(c.modules, module)
	return c.add(name, text, file)
}

// minimal leaves out the roots that are below another one.
func minimal(roots []string) []string {
	unique := map[string]bool{}
	for _, root := range roots {
		unique[root] = true
	}
	var out []string
	for _, root := range slices.Sorted(maps.Keys(unique)) {
		if !slices.ContainsFunc(out, func(above string) bool { return strings.HasPrefix(root, above+"/") }) {
			out = append(out, root)
		}
	}
	return out
}
