// Package purl reads package URLs.
package purl

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
	return PURL{}, nil
}

// IsValid says whether [Parse] reads it.
func IsValid(text string) bool {
	_, err := Parse(text)
	return err == nil
}
