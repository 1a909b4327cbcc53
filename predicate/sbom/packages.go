package sbom

import (
	"bytes"
	"slices"

	"github.com/assay-dev/assay/predicate/bounded"
)

// MaxPackages is how many packages a document may list, and MaxRelationships how
// many edges, those with files among them. A package becomes some thirty Rego values
// of about a hundred bytes, so 50,000 are about 150 MB.
const (
	MaxPackages      = 50_000
	MaxRelationships = 250_000
	// MaxText is how many bytes of text packages and edges have in all. A document may
	// name a licence, a supplier or the beginning of an edge once for all of them, so
	// that it is longer read than written.
	MaxText = 4 * bounded.MaxBytes
)

// predicateTypes are those of statements about bills of materials. The type does
// not tell the format: the content does.
func predicateTypes() []string {
	return append(bounded.Custom(),
		"https://spdx.dev/Document", "https://spdx.dev/Document/v2.2", "https://spdx.dev/Document/v2.3",
		"https://spdx.dev/Document/v3.0", "https://spdx.dev/Document/v3.0.1",
		"https://cyclonedx.org/bom", "https://cyclonedx.org/bom/v1.2", "https://cyclonedx.org/bom/v1.3", "https://cyclonedx.org/bom/v1.4",
		"https://cyclonedx.org/bom/v1.5", "https://cyclonedx.org/bom/v1.6", "https://cyclonedx.org/bom/v1.7",
	)
}

// Packages reads a bill of materials: the document itself, a JSON string that
// holds it, cosign's {"Data": "…"}, or an in-toto statement about any of these.
// The error is a *bounded.Error.
func Packages(document []byte) (Document, error) {
	if tagValue(document) {
		return Document{}, bounded.Refuse(bounded.Unsupported, "", "got SPDX in tag-value form, want it in JSON")
	}
	data, err := bounded.Unwrap(document, predicateTypes())
	if err != nil {
		return Document{}, err
	}
	var head struct {
		SPDXVersion bounded.Raw `json:"spdxVersion"`
		BOMFormat   bounded.Raw `json:"bomFormat"`
		Context     bounded.Raw `json:"@context"`
	}
	if err := bounded.Decode(data, &head); err != nil {
		return Document{}, err
	}
	var told []string
	var read func([]byte) (Document, error)
	if head.SPDXVersion != nil {
		told, read = append(told, "spdxVersion"), readSPDX2
	}
	if head.BOMFormat != nil {
		told, read = append(told, "bomFormat"), readCycloneDX
	}
	if head.Context != nil {
		told, read = append(told, "@context"), readSPDX3
	}
	switch len(told) {
	case 0:
		return Document{}, bounded.Refuse(bounded.Unsupported, "", "got none of spdxVersion, bomFormat and @context, want SPDX or CycloneDX")
	case 1:
		document, err := read(data)
		if err != nil {
			return Document{}, err
		}
		return document, nil
	}
	return Document{}, bounded.Refuse(bounded.Malformed, told[1], "got it beside %s, want one format", told[0])
}

// tagValue recognises what cosign put around SPDX's other form too: a string.
func tagValue(document []byte) bool {
	start := bytes.TrimLeft(document, "\" \t\r\n")
	return bytes.HasPrefix(start, []byte("SPDXVersion:"))
}

// builder collects a document and keeps to the bounds.
type builder struct {
	document Document
	graph    graph
	text     int
}

// newBuilder makes a document in which every list is there.
func newBuilder(format, version string) *builder {
	return &builder{
		document: Document{Format: format, Version: version, Packages: []Package{}, Relationships: []Relationship{}},
	}
}

// add appends a package, whose place in the document is path.
func (b *builder) add(path string, p Package) error {
	if p.Name == "" {
		return bounded.Refuse(bounded.Malformed, bounded.In(path, "name"), "got none, want one")
	}
	if len(b.document.Packages) == MaxPackages {
		return bounded.Refuse(bounded.TooLarge, path, "got more than %d packages, want at most that", MaxPackages)
	}
	if p.ID == "" {
		p.ID = path
	}
	if err := b.grow(path, p.size()); err != nil {
		return err
	}
	p.PURLs, p.CPEs, p.Licenses = bounded.List(p.PURLs), bounded.List(p.CPEs), bounded.List(p.Licenses)
	if p.Hashes == nil {
		p.Hashes = map[string]string{}
	}
	b.document.Packages = append(b.document.Packages, p)
	return nil
}

// relate appends an edge; which are kept is decided when all packages are known.
func (b *builder) relate(path, from, to, kind string) error {
	if len(b.document.Relationships) == MaxRelationships {
		return bounded.Refuse(bounded.TooLarge, path, "got more than %d relationships, want at most that", MaxRelationships)
	}
	if err := b.grow(path, len(from)+len(to)+len(kind)); err != nil {
		return err
	}
	b.document.Relationships = append(b.document.Relationships, Relationship{From: from, To: to, Kind: kind})
	return nil
}

// grow counts text.
func (b *builder) grow(path string, bytes int) error {
	if b.text += bytes; b.text > MaxText {
		return bounded.Refuse(bounded.TooLarge, path, "got packages and relationships of more than %d bytes, want at most that", MaxText)
	}
	return nil
}

// perLicence is what a licence takes beside its text: those of one ID may be many,
// and every package of that ID has them.
const perLicence = 32

// size is how many bytes of text a package has.
func (p Package) size() int {
	out := len(p.ID) + len(p.Name) + len(p.Group) + len(p.Version) + len(p.Supplier) + len(p.Type)
	for _, text := range slices.Concat(p.PURLs, p.CPEs) {
		out += len(text)
	}
	for _, l := range p.Licenses {
		out += perLicence + len(l.Kind) + len(l.Expression)
	}
	for algorithm, value := range p.Hashes {
		out += len(algorithm) + len(value)
	}
	return out
}

// finish names relations, with the roots that the document gives.
func (b *builder) finish(roots []string) Document {
	b.graph.settle(&b.document, roots)
	return b.document
}
