// Package purl reads package URLs, as https://github.com/package-url/purl-spec says.
package purl

import (
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/assay-dev/assay/predicate/bounded"
)

// MaxLength is that of a package URL. The longest real ones name an image in a
// registry with its digest, and stay below 500.
const MaxLength = 4096

// PURL is a package URL. Text is empty where the URL has none.
type PURL struct {
	Type       string            `json:"type"`
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Version    string            `json:"version"`
	Qualifiers map[string]string `json:"qualifiers"`
	Subpath    string            `json:"subpath"`
	// Canonical is the URL in its one canonical form.
	Canonical string `json:"canonical"`
}

// Parse reads a package URL. The error is a *bounded.Error.
func Parse(text string) (PURL, error) {
	if len(text) > MaxLength {
		return PURL{}, bounded.Refuse(bounded.TooLarge, "", "got a package URL of %d bytes, want at most %d", len(text), MaxLength)
	}
	if len(text) < len("pkg:") || !strings.EqualFold(text[:len("pkg:")], "pkg:") {
		return PURL{}, bounded.Refuse(bounded.Malformed, "", "got %s, want a package URL as in pkg:TYPE/NAME@VERSION", bounded.Quoted(text))
	}
	parsed, err := packageurl.FromString(text)
	if err != nil {
		return PURL{}, bounded.Refuse(bounded.Malformed, "", "got %s, want a package URL: %s", bounded.Quoted(text), err)
	}
	return PURL{
		Type: parsed.Type, Namespace: parsed.Namespace, Name: parsed.Name, Version: parsed.Version,
		Qualifiers: parsed.Qualifiers.Map(), Subpath: parsed.Subpath, Canonical: parsed.ToString(),
	}, nil
}

// Covers says whether everything that p says holds for other too: the package is
// the same, and so are the version, the qualifiers and the subpath that p has. A p
// without a version covers every version.
func (p PURL) Covers(other PURL) bool {
	if p.Type != other.Type || p.Namespace != other.Namespace || p.Name != other.Name {
		return false
	}
	if p.Version != "" && p.Version != other.Version || p.Subpath != "" && p.Subpath != other.Subpath {
		return false
	}
	for key, value := range p.Qualifiers {
		if got, ok := other.Qualifiers[key]; !ok || got != value {
			return false
		}
	}
	return true
}
