// Package sbom reads bills of materials of several formats as one shape: what
// packages a document lists, and how they relate. It reads SPDX 2.2 and 2.3 in
// JSON, SPDX 3.0 in JSON-LD, and CycloneDX 1.2 to 1.7 in JSON; the content tells
// which. Every other format is refused with the code unsupported, SPDX's tag-value
// among them.
//
// It says what the document says: nothing is looked up, and a package that the
// document does not list is not there.
package sbom

// Document is a bill of materials. Text and lists are always there, and empty
// where the document says nothing.
type Document struct {
	// Format is spdx or cyclonedx.
	Format string `json:"format"`
	// Version is that of the format, as in 2.3.
	Version string `json:"version"`
	Name    string `json:"name"`
	// Created is RFC 3339, and absent where the document does not say.
	Created string `json:"created,omitempty"`
	// Packages are in the order of the document.
	Packages []Package `json:"packages"`
	// Relationships are those between packages; those with files are left out.
	Relationships []Relationship `json:"relationships"`
}

// Package is one entry of a document.
type Package struct {
	// ID is the document's own name of the entry, and its place where it has none.
	ID      string `json:"id"`
	Name    string `json:"name"`
	Group   string `json:"group"`
	Version string `json:"version"`
	// PURLs and CPEs are as written.
	PURLs    []string  `json:"purls"`
	CPEs     []string  `json:"cpes"`
	Licenses []License `json:"licenses"`
	// Hashes are by algorithm: {"sha256": "…"}, both in lower case.
	Hashes   map[string]string `json:"hashes"`
	Supplier string            `json:"supplier"`
	// Type is library, application, container, … in lower case.
	Type string `json:"type"`
	// Relation is how the entry relates to what the document is about: root,
	// direct or transitive where dependencies say so, else unknown.
	Relation string `json:"relation"`
}

// License is a licence of a package.
type License struct {
	// Kind is declared, concluded, or empty where the document does not tell.
	Kind string `json:"kind"`
	// Expression is an SPDX expression, or a name where there is none. What says
	// that nothing is known (NOASSERTION, NONE) is no licence.
	Expression string `json:"expression"`
}

// Relationship is an edge between two packages, by their IDs. Edges may form
// cycles.
type Relationship struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Kind is depends_on, contains, or the document's own word in lower case.
	Kind string `json:"kind"`
}
