package archive

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/assay-dev/assay/rego/cip/strict"
)

// assemble makes a bundle of its files, and holds each to its place.
func assemble(files map[string][]byte, written map[string]string) (*Archive, error) {
	if err := allExpected(files); err != nil { // also of what is to be written
		return nil, err
	}
	text, ok := files[manifestFile]
	if !ok {
		return nil, fmt.Errorf("bundle: got no %s, want one with the roots of the content", manifestFile)
	}
	out := &Archive{Files: maps.Clone(files), written: written}
	delete(out.Files, manifestFile)
	delete(out.Files, signaturesFile)
	var err error
	if out.Manifest, out.About, err = readManifest(text); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	out.rooms = roomsOf(*out.Manifest.Roots)
	if signatures, ok := files[signaturesFile]; ok {
		if out.signatures, err = readSignatures(signatures); err != nil {
			return nil, fmt.Errorf("%s: %w", signaturesFile, err)
		}
		out.Signed = true
		if err := listed(out.signatures, files); err != nil {
			return nil, err
		}
	}
	if _, out.Delta = out.Files[patchFile]; out.Delta {
		return out, out.checkDelta()
	}
	return out, out.check()
}

// check holds Rego and data to the roots, and the content to what About says of it.
func (a *Archive) check() error {
	var errs []error
	var documents []document
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		var err error
		switch kindOf(name) {
		case rego:
			err = a.checkModule(name)
		case data:
			var read document
			if read, err = a.checkDocument(name); err == nil {
				documents = append(documents, read)
			}
		default: // [expected] has refused it
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := distinct(documents); err != nil {
		return err
	}
	if got := a.Set(); a.About.Format != "" && a.About.Set != got {
		return fmt.Errorf("%s: metadata.assay.set: got %s, want %s, that of the content", manifestFile, a.About.Set, got)
	}
	return nil
}

// Version is what a module is written in: what the manifest says of the file or of all, and
// v1 where it says nothing.
func (a *Archive) Version(name string) (ast.RegoVersion, error) {
	written, ok := a.written[name]
	if !ok {
		written = name
	}
	if version, err := a.Manifest.RegoVersionForFile(written); err != nil || version != ast.RegoUndefined {
		return version, err
	}
	if a.Manifest.RegoVersion == nil {
		return ast.RegoV1, nil
	}
	return ast.RegoVersionFromIntStrict(*a.Manifest.RegoVersion)
}

func (a *Archive) checkModule(name string) error {
	version, err := a.Version(name)
	if err != nil {
		return err
	}
	module, err := ast.ParseModuleWithOpts(name, string(a.Files[name]), ast.ParserOptions{RegoVersion: version})
	if err != nil {
		return err
	}
	if module == nil { // OPA's word for a file without a statement
		return errors.New("got no module, want a package")
	}
	place, err := placeOf(module)
	if err != nil {
		return err
	}
	if err := free(place); err != nil {
		return fmt.Errorf("%s: %w", module.Package, err)
	}
	if !a.within(place) {
		return fmt.Errorf("got %s, want it below the roots: %s", module.Package, strings.Join(*a.Manifest.Roots, ", "))
	}
	return nil
}

func placeOf(module *ast.Module) (place []string, err error) {
	for _, term := range module.Package.Path[1:] {
		segment, ok := term.Value.(ast.String)
		if !ok {
			return nil, fmt.Errorf("got %s, want a package of names", module.Package)
		}
		place = append(place, string(segment))
	}
	return place, nil
}

// RootOf is the root that a module needs, its package.
func RootOf(module *ast.Module) (string, error) {
	place, err := placeOf(module)
	if err != nil {
		return "", err
	}
	return rootAt(place)
}

// RootsOf are the roots that a data document at a place needs: the place or, at the top, each
// name in it.
func RootsOf(at []string, text []byte) ([]string, error) {
	if len(at) > 0 {
		root, err := rootAt(at)
		return []string{root}, err
	}
	var names map[string]any
	if err := decode(text, &names); err != nil {
		return nil, err
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		root, err := rootAt([]string{name})
		if err != nil {
			return nil, err
		}
		out = append(out, root)
	}
	return out, nil
}

// rootAt refuses a place that no root can say.
func rootAt(place []string) (string, error) {
	for _, name := range place {
		if name == "" || strings.ContainsAny(name, `/\%`) || strings.HasPrefix(name, ".") {
			return "", fmt.Errorf("got the name %q, want one that may be in a root: not empty, without / \\ %% and a leading dot", name)
		}
	}
	return strings.Join(place, "/"), nil
}

// document is a data document and its place.
type document struct {
	name  string
	at    []string
	value map[string]any
}

func (a *Archive) checkDocument(name string) (document, error) {
	out, err := readDocument(name, a.Files[name])
	if err == nil {
		err = a.placed(out.at, out.value)
	}
	if err == nil {
		err = out.resources(map[string]map[string]any{})
	}
	return out, err
}

func readDocument(name string, text []byte) (document, error) {
	out := document{name: name}
	if directory := path.Dir(name); directory != "." {
		out.at = strings.Split(directory, "/")
	}
	if path.Base(name) != "data.json" {
		encoded, err := strict.JSON(text)
		if err != nil {
			return out, err
		}
		text = encoded
	}
	var value any
	if err := decode(text, &value); err != nil {
		return out, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return out, fmt.Errorf("got %s, want an object", strict.KindOf(value))
	}
	out.value = object
	return out, nil
}

// placed holds a value and what is in it to the roots. Names are compared as they are: one
// with a slash in it is one name.
func (a *Archive) placed(at []string, value any) error {
	if a.within(at) {
		return nil
	}
	object, ok := value.(map[string]any)
	if !ok || !a.above(at) {
		if len(at) != 0 && free(at) != nil {
			return fmt.Errorf("data.%s: %w", strings.Join(at, "."), free(at))
		}
		return fmt.Errorf("got data at %q, want it below the roots: %s", strings.Join(at, "/"), strings.Join(*a.Manifest.Roots, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := a.placed(append(slices.Clone(at), name), object[name]); err != nil {
			return err
		}
	}
	return nil
}

// rooms are the roots of a bundle, to be asked of many places.
type rooms struct{ at, above map[string]bool }

func roomsOf(roots []string) rooms {
	out := rooms{map[string]bool{}, map[string]bool{"": true}}
	for _, root := range roots {
		out.at[root] = true
		for i, c := range root {
			if c == '/' {
				out.above[root[:i]] = true
			}
		}
	}
	return out
}

// within reports whether a place is a root or below one.
func (a *Archive) within(place []string) bool {
	path := ""
	for i, name := range place {
		if strings.Contains(name, "/") { // no root has such a name
			return false
		}
		if i > 0 {
			path += "/"
		}
		if path += name; a.rooms.at[path] {
			return true
		}
	}
	return false
}

// above reports whether a root is below a place.
func (a *Archive) above(place []string) bool {
	slashed := slices.ContainsFunc(place, func(name string) bool { return name == "" || strings.Contains(name, "/") })
	return !slashed && a.rooms.above[strings.Join(place, "/")]
}

// distinct refuses a document that says anything of the place of another one. What OPA makes
// of these depends on how it loads them.
func distinct(documents []document) error {
	places := map[string]document{}
	for _, d := range documents {
		place := strings.Join(d.at, "/")
		if other, taken := places[place]; taken {
			return fmt.Errorf("%q: %q is of the same place", d.name, other.name)
		}
		places[place] = d
	}
	for _, inner := range documents {
		for depth := range inner.at {
			outer, ok := places[strings.Join(inner.at[:depth], "/")]
			if ok && says(outer.value, inner.at[depth:]) {
				return fmt.Errorf("%q: %q is of the same place: it has %s", inner.name, outer.name, strings.Join(inner.at[depth:], "."))
			}
		}
	}
	return nil
}

// says reports whether a document has a value on the way to a place, or at it.
func says(value map[string]any, at []string) bool {
	for _, name := range at {
		inner, ok := value[name]
		if !ok {
			return false
		}
		if value, ok = inner.(map[string]any); !ok {
			return true
		}
	}
	return true
}

// checkDelta holds the patches of a delta to the roots of the bundle that it patches.
func (a *Archive) checkDelta() error {
	if len(a.Files) != 1 || a.Signed {
		return fmt.Errorf("bundle: got %s and other files, want it alone: a delta has no Rego, no data and no signature", patchFile)
	}
	var patches bundle.Patch
	if err := decode(a.Files[patchFile], &patches); err != nil {
		return fmt.Errorf("%s: %w", patchFile, err)
	}
	if len(patches.Data) == 0 {
		return fmt.Errorf("%s: got no patch", patchFile)
	}
	for i, p := range patches.Data {
		if !slices.Contains([]string{"upsert", "replace", "remove"}, p.Op) {
			return fmt.Errorf("%s: data[%d].op: got %q, want upsert, replace or remove", patchFile, i, p.Op)
		}
		var place []string
		for segment := range strings.SplitSeq(strings.Trim(p.Path, "/"), "/") { // RFC 6901, 4
			place = append(place, strings.NewReplacer("~1", "/", "~0", "~").Replace(segment))
		}
		if err := free(place); err != nil {
			return fmt.Errorf("%s: data[%d].path: got %q: %w", patchFile, i, p.Path, err)
		}
		if strings.Contains(p.Path, "%") || !a.within(place) {
			return fmt.Errorf("%s: data[%d].path: got %q, want one without %% below the roots: %s", patchFile, i, p.Path, strings.Join(*a.Manifest.Roots, ", "))
		}
	}
	return nil
}
