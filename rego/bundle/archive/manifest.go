package archive

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	kjson "sigs.k8s.io/json"
)

// ErrReserved is wrapped by what refuses a bundle that claims a place of the product.
var ErrReserved = errors.New("reserved")

// About is metadata.assay of the manifest: what a bundle that assay built says of itself.
type About struct {
	// Format is [Format].
	Format string `json:"format"`
	// Name is that of the bundle in configurations, "" where it says none: see [About.As].
	Name string `json:"name,omitempty"`
	// Set is [Archive.Set]. Write fills it in.
	Set string `json:"set"`
	// Requires is what the bundle cannot be evaluated without.
	Requires Requires `json:"requires"`
	// Expires is when it denies from; zero is never.
	Expires time.Time `json:"expires,omitzero"`
	// BuiltBy is the program and its version.
	BuiltBy string `json:"built_by"`
}

// Requires are the capabilities that a stock OPA has not.
type Requires struct {
	// Builtins are sorted.
	Builtins []string `json:"builtins"`
}

// As refuses a bundle that says to be another than it is taken for. Whoever moves tags can show one
// bundle of a signer in the place of another, and the signature of both is good.
func (a About) As(name string) error {
	if a.Name != "" && a.Name != name {
		return fmt.Errorf("metadata.assay.name: got %q, want %q: it is another bundle", a.Name, name)
	}
	return nil
}

// reserved are the first segments of what belongs to the product, and to OPA.
func reserved() []string { return []string{"assay", "cip", "cip_index", "sigstore", "system"} }

// Reserved refuses roots that are all of data, or belong to the product or to OPA. What is
// below a reserved root is reserved as well.
func Reserved(roots []string) error {
	var errs []error
	for _, root := range roots {
		if err := free(strings.Split(strings.Trim(root, "/"), "/")); err != nil {
			errs = append(errs, fmt.Errorf("root %q: %w", root, err))
		}
	}
	return errors.Join(errs...)
}

// free refuses a place that is reserved. OPA decodes percent signs in places of data.
func free(place []string) error {
	want := "want a root below a name of its own, none of " + strings.Join(reserved(), ", ")
	switch {
	case len(place) == 0 || place[0] == "":
		return fmt.Errorf("%w: it is all of data, %s", ErrReserved, want)
	case slices.Contains(reserved(), place[0]):
		return fmt.Errorf("%w: it belongs to the product, %s", ErrReserved, want)
	}
	return nil
}

// readManifest reads .manifest strictly: a field that is misspelt would not be there.
func readManifest(text []byte) (bundle.Manifest, About, error) {
	var out bundle.Manifest
	if err := decode(text, &out); err != nil {
		return out, About{}, err
	}
	if err := checkManifest(&out); err != nil {
		return out, About{}, err
	}
	about, err := readAbout(out.Metadata)
	return out, about, err
}

func checkManifest(m *bundle.Manifest) error {
	if m.Roots == nil || len(*m.Roots) == 0 {
		return errors.New("roots: got none, want those of the content: without them a bundle is all of data")
	}
	if len(m.WasmResolvers) != 0 {
		return errors.New("wasm: got WebAssembly, want Rego: assay evaluates no other program")
	}
	if err := printable(m.Revision); err != nil {
		return fmt.Errorf("revision: %w", err)
	}
	for _, version := range append(slices.Collect(maps.Values(m.FileRegoVersions)), *cmp.Or(m.RegoVersion, new(int))) {
		if _, err := ast.RegoVersionFromIntStrict(version); err != nil {
			return fmt.Errorf("rego_version: %w", err)
		}
	}
	return checkRoots(m)
}

func checkRoots(m *bundle.Manifest) error {
	roots := slices.Clone(*m.Roots)
	for i, root := range roots {
		roots[i] = strings.Trim(root, "/") // as OPA does
	}
	m.Roots = &roots
	if err := Reserved(roots); err != nil {
		return err
	}
	at := map[string]bool{}
	for _, root := range roots {
		if path.Clean(root) != root || strings.ContainsAny(root, `\%`) || strings.HasPrefix(root, ".") {
			return fmt.Errorf("root %q: want a clean path without \\ and %%", root)
		}
		if at[root] {
			return fmt.Errorf("root %q: got it twice", root)
		}
		at[root] = true
	}
	for _, root := range roots {
		for above := path.Dir(root); above != "."; above = path.Dir(above) {
			if at[above] {
				return fmt.Errorf("root %q: overlaps the root %q", root, above)
			}
		}
	}
	return nil
}

// AboutOf is metadata.assay of the metadata of a manifest; the zero value where it has none.
func AboutOf(metadata map[string]any) (About, error) { return readAbout(metadata) }

// digest is how content is named.
var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func readAbout(metadata map[string]any) (About, error) {
	value, ok := metadata["assay"]
	if !ok {
		return About{}, nil
	}
	object, _ := value.(map[string]any)
	_, expires := object["expires"]
	_, named := object["name"]
	var out About
	text, err := json.Marshal(value)
	if err != nil {
		return out, fmt.Errorf("metadata.assay: %w", err)
	}
	if err := decode(text, &out); err != nil {
		return out, fmt.Errorf("metadata.assay: %w", err)
	}
	switch builtins := out.Requires.Builtins; {
	case out.Format != Format:
		return out, fmt.Errorf("metadata.assay.format: got %q, want %s", out.Format, Format)
	case expires && out.Expires.IsZero(): // null, and the year 1, would be never
		return out, fmt.Errorf("metadata.assay.expires: got %v, want a time as RFC 3339 has it", object["expires"])
	case named && out.Name == "": // null would be any name
		return out, fmt.Errorf("metadata.assay.name: got %v, want a name", object["name"])
	case !digest.MatchString(out.Set):
		return out, fmt.Errorf("metadata.assay.set: got %q, want 64 hexadecimal digits", out.Set)
	case !slices.IsSorted(builtins) || len(slices.Compact(slices.Clone(builtins))) != len(builtins):
		return out, errors.New("metadata.assay.requires.builtins: want names that are sorted, each once")
	}
	for _, name := range append(slices.Clone(out.Requires.Builtins), out.BuiltBy, out.Name) {
		if err := printable(name); err != nil {
			return out, fmt.Errorf("metadata.assay: %w", err)
		}
	}
	return out, nil
}

// printable holds texts that logs, metrics and headers repeat to what these bear.
func printable(text string) error {
	if len(text) > 256 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("got %.300q, want at most 256 printable characters", text)
	}
	return nil
}

// decode reads JSON with names as they are written, each once, and none that is unknown.
func decode(text []byte, out any) error {
	unknown, err := kjson.UnmarshalStrict(text, out)
	if err != nil {
		return fmt.Errorf("want JSON: %w", err)
	}
	return errors.Join(unknown...)
}
