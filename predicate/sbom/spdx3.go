package sbom

import (
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// spdx3 is what is read of https://spdx.github.io/spdx-spec/v3.0.1/: a graph of
// elements, in the compact form that the context of the specification gives. A
// JSON-LD document of another context could mean anything by the same names, and
// no context is ever fetched.
type spdx3 struct {
	Context bounded.Raw `json:"@context"`
	Graph   bounded.Raw `json:"@graph"`
}

// element is any element of the graph: the fields of the types that are read.
type element struct {
	Type     string `json:"type"`
	ID       string `json:"spdxId"`
	BlankID  string `json:"@id"`
	Name     string `json:"name"`
	Created  string `json:"created"`
	Roots    []any  `json:"rootElement"`
	Elements any    `json:"element"`
	Version  string `json:"software_packageVersion"`
	URL      string `json:"software_packageUrl"`
	Purpose  string `json:"software_primaryPurpose"`
	Supplier any    `json:"suppliedBy"`
	Hashes   []struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"hashValue"`
	} `json:"verifiedUsing"`
	Identifiers []struct {
		Type       string `json:"externalIdentifierType"`
		Identifier string `json:"identifier"`
	} `json:"externalIdentifier"`
	Expression string `json:"simplelicensing_licenseExpression"`
	From       any    `json:"from"`
	To         []any  `json:"to"`
	Kind       string `json:"relationshipType"`
}

// spdx3Contexts are the contexts that are understood, and their versions.
func spdx3Contexts() map[string]string {
	return map[string]string{
		"https://spdx.org/rdf/3.0.0/spdx-context.jsonld": "3.0.0",
		"https://spdx.org/rdf/3.0.1/spdx-context.jsonld": "3.0.1",
	}
}

func spdx3Version(raw bounded.Raw) (string, error) {
	var context string
	if err := bounded.Decode(raw, &context); err == nil {
		if version, ok := spdx3Contexts()[context]; ok {
			return version, nil
		}
	}
	return "", bounded.Refuse(bounded.Unsupported, "@context", "got %s, want https://spdx.org/rdf/3.0.1/spdx-context.jsonld", bounded.Quoted(string(raw)))
}

func readSPDX3(data []byte) (Document, error) {
	var in spdx3
	if err := bounded.Decode(data, &in); err != nil {
		return Document{}, err
	}
	version, err := spdx3Version(in.Context)
	if err != nil {
		return Document{}, err
	}
	if in.Graph == nil {
		return Document{}, bounded.Refuse(bounded.Unsupported, "@graph", "got none, want a list of elements")
	}
	r := spdx3Reader{builder: newBuilder("spdx", version), names: map[string]string{}, licences: map[string][]License{}}
	if err := bounded.Each("@graph", in.Graph, r.index); err != nil {
		return Document{}, err
	}
	r.license()
	err = bounded.Each("@graph", in.Graph, r.element)
	return r.finish(r.roots), err
}

// spdx3Reader knows the elements that others refer to by their IDs.
type spdx3Reader struct {
	*builder
	// names are those of agents, licences and documents: what a reference reads as.
	names    map[string]string
	licensed []licensed
	licences map[string][]License
	roots    []string
}

// licensed is a relationship of a package and a licence.
type licensed struct {
	id, kind string
	licence  any
}

// index collects what packages refer to, wherever in the graph it stands.
func (r *spdx3Reader) index(path string, e element) error {
	switch text := e.Expression; {
	case text != "":
		r.names[e.id()] = text
	case e.Name != "":
		r.names[e.id()] = e.Name
	}
	kind, ok := map[string]string{"hasDeclaredLicense": "declared", "hasConcludedLicense": "concluded"}[e.Kind]
	if !ok {
		return nil
	}
	from, err := reference(path+".from", e.From)
	for _, to := range e.To {
		r.licensed = append(r.licensed, licensed{from, kind, to})
	}
	return err
}

// license gives each package its licences, when all names are known.
func (r *spdx3Reader) license() {
	for _, l := range r.licensed {
		if expression := known(r.licence(l.licence)); expression != "" {
			r.licences[l.id] = append(r.licences[l.id], License{Kind: l.kind, Expression: expression})
		}
	}
}

// licence is the text of a licence, which is an element of the graph, an element in
// place, or one of SPDX's list by its address.
func (r *spdx3Reader) licence(to any) string {
	if object, ok := to.(map[string]any); ok {
		if text, ok := object["simplelicensing_licenseExpression"].(string); ok {
			return text
		}
	}
	id, _ := reference("", to)
	if name, ok := r.names[id]; ok {
		return name
	}
	// The individuals that say that nothing is known: in the compact form, and as
	// IRIs that end in the same words.
	switch id[strings.LastIndexAny(id, "/_")+1:] {
	case "NoneLicense", "NoAssertionLicense":
		return ""
	}
	return strings.TrimPrefix(id, "https://spdx.org/licenses/")
}

// The types of elements that are packages.
const (
	typePackage = "software_Package"
	typeAI      = "ai_AIPackage"
	typeDataset = "dataset_DatasetPackage"
)

func (r *spdx3Reader) element(path string, e element) error {
	// Whatever kind of collection it is, with roots that are not read or with such.
	if err := inPlace(path+".element", e.Elements); err != nil {
		return err
	}
	if err := inPlace(path+".rootElement", e.Roots); err != nil {
		return err
	}
	switch e.Type {
	case "":
		return bounded.Refuse(bounded.Malformed, path+".type", "got none, want one")
	case typePackage, typeAI, typeDataset:
		return r.software(path, e)
	case "CreationInfo":
		created, err := bounded.Time(path+".created", e.Created)
		if r.document.Created == "" {
			r.document.Created = created
		}
		return err
	case "SpdxDocument", "software_Sbom", "Bom":
		if e.Type == "SpdxDocument" {
			r.document.Name = e.Name
		}
		for i, root := range e.Roots {
			id, err := reference(bounded.At(path+".rootElement", i), root)
			if err != nil {
				return err
			}
			r.roots = append(r.roots, id)
		}
	case "Relationship", "LifecycleScopedRelationship":
		return r.relationship(path, e)
	}
	if strings.Contains(e.Type, ":") {
		return compact(path, e.Type)
	}
	return nil
}

func (r *spdx3Reader) software(path string, e element) error {
	out := Package{ID: e.id(), Name: e.Name, Version: known(e.Version), Type: word(e.Purpose), Licenses: r.licences[e.id()]}
	if e.Supplier != nil {
		id, err := reference(path+".suppliedBy", e.Supplier)
		if err != nil {
			return err
		}
		if out.Supplier = r.names[id]; out.Supplier == "" {
			out.Supplier = id
		}
	}
	if e.URL != "" {
		out.PURLs = []string{e.URL}
	}
	for _, i := range e.Identifiers {
		if !slices.Contains(out.PURLs, i.Identifier) {
			out.identify(i.Type, i.Identifier)
		}
	}
	for i, h := range e.Hashes {
		if h.Algorithm == "" {
			continue // a PackageVerificationCode, which is of files
		}
		if err := out.hash(bounded.At(path+".verifiedUsing", i), h.Algorithm, h.Value); err != nil {
			return err
		}
	}
	return r.add(path, out)
}

func (r *spdx3Reader) relationship(path string, e element) error {
	kind := word(e.Kind)
	if kind == "" {
		return bounded.Refuse(bounded.Malformed, path+".relationshipType", "got none, want one")
	}
	from, err := reference(path+".from", e.From)
	if err != nil {
		return err
	}
	for i, target := range e.To {
		to, err := reference(bounded.At(path+".to", i), target)
		if err != nil {
			return err
		}
		if err := r.relate(path, from, to, kind); err != nil {
			return err
		}
	}
	return nil
}

func (e element) id() string {
	if e.ID != "" {
		return e.ID
	}
	return e.BlankID
}

// reference is the ID that a property refers to: as text, or as an element in place.
func reference(path string, value any) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case map[string]any:
		if err := inPlace(path, value); err != nil {
			return "", err
		}
		for _, key := range []string{"spdxId", "@id"} {
			if id, ok := value[key].(string); ok {
				return id, nil
			}
		}
	}
	return "", bounded.Refuse(bounded.Malformed, path, "got no ID, want that of an element")
}

// inPlace refuses what is, or holds at any depth, a package in place, which would be
// listed nowhere, and what could be one by another name.
func inPlace(path string, value any) error {
	switch value := value.(type) {
	case []any:
		for i, v := range value {
			if err := inPlace(bounded.At(path, i), v); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := typeInPlace(path, value); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if err := inPlace(bounded.In(path, key), value[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func typeInPlace(path string, object map[string]any) error {
	if _, ok := object["@type"]; ok {
		return bounded.Refuse(bounded.Unsupported, path+".@type", "got it, want type")
	}
	switch kind := object["type"].(type) {
	case nil:
	case string:
		switch {
		case kind == typePackage, kind == typeAI, kind == typeDataset:
			return bounded.Refuse(bounded.Malformed, path, "got a package in place, want its ID")
		case strings.Contains(kind, ":"):
			return compact(path, kind)
		}
	default:
		return bounded.Refuse(bounded.Malformed, path+".type", "got no text, want one")
	}
	return nil
}

// compact refuses a type that is an address: https://spdx.org/rdf/3.0.1/terms/Software/Package
// is a package as well.
func compact(path, kind string) error {
	return bounded.Refuse(bounded.Unsupported, path+".type", "got %s, want it in compact form", bounded.Quoted(kind))
}
