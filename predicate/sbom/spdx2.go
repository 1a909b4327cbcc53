package sbom

import (
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// spdx/tools-golang v0.5.7 knows the same fields. It is not used: it panics at a
// package that is null, compares names without case, names no field in most of its
// errors, and its stable version has no SPDX 3.

// spdx2 is what is read of https://spdx.github.io/spdx-spec/v2.3/.
type spdx2 struct {
	Version      string `json:"spdxVersion"`
	ID           string `json:"SPDXID"`
	Name         string `json:"name"`
	CreationInfo struct {
		Created string `json:"created"`
	} `json:"creationInfo"`
	Describes     []string    `json:"documentDescribes"`
	Packages      bounded.Raw `json:"packages"`
	Relationships bounded.Raw `json:"relationships"`
}

type spdx2Relationship struct {
	From string `json:"spdxElementId"`
	To   string `json:"relatedSpdxElement"`
	Type string `json:"relationshipType"`
}

type spdx2Package struct {
	ID        string `json:"SPDXID"`
	Name      string `json:"name"`
	Version   string `json:"versionInfo"`
	Supplier  string `json:"supplier"`
	Declared  string `json:"licenseDeclared"`
	Concluded string `json:"licenseConcluded"`
	Purpose   string `json:"primaryPackagePurpose"`
	Checksums []struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	} `json:"checksums"`
	Refs []struct {
		Type    string `json:"referenceType"`
		Locator string `json:"referenceLocator"`
	} `json:"externalRefs"`
}

func readSPDX2(data []byte) (Document, error) {
	var in spdx2
	if err := bounded.Decode(data, &in); err != nil {
		return Document{}, err
	}
	version, ok := strings.CutPrefix(in.Version, "SPDX-")
	if !ok || version != "2.2" && version != "2.3" {
		return Document{}, bounded.Refuse(bounded.Unsupported, "spdxVersion", "got %s, want SPDX-2.2 or SPDX-2.3", bounded.Quoted(in.Version))
	}
	b := newBuilder("spdx", version)
	var err error
	b.document.Name = in.Name
	if b.document.Created, err = bounded.Time("creationInfo.created", in.CreationInfo.Created); err != nil {
		return Document{}, err
	}
	err = bounded.Each("packages", in.Packages, func(path string, p spdx2Package) error {
		read, err := p.read(path)
		if err != nil {
			return err
		}
		return b.add(path, read)
	})
	if err != nil {
		return Document{}, err
	}
	roots := in.Describes
	err = bounded.Each("relationships", in.Relationships, func(path string, r spdx2Relationship) error {
		from, to, kind := relationship(r.From, r.To, r.Type)
		switch {
		case kind == "":
			return bounded.Refuse(bounded.Malformed, path+".relationshipType", "got none, want one")
		case kind != "describes":
			return b.relate(path, from, to, kind)
		case from == in.ID:
			roots = append(roots, to)
		}
		return nil
	})
	return b.finish(roots), err
}

func (p spdx2Package) read(path string) (Package, error) {
	out := Package{
		ID: p.ID, Name: p.Name, Version: known(p.Version), Supplier: known(p.Supplier), Type: word(p.Purpose),
		Licenses: licences(p.Declared, p.Concluded),
	}
	for i, ref := range p.Refs {
		if ref.Type == "" {
			return Package{}, bounded.Refuse(bounded.Malformed, bounded.At(path+".externalRefs", i)+".referenceType", "got none, want one")
		}
		out.identify(ref.Type, ref.Locator)
	}
	for i, sum := range p.Checksums {
		if err := out.hash(bounded.At(path+".checksums", i), sum.Algorithm, sum.Value); err != nil {
			return Package{}, err
		}
	}
	return out, nil
}

// relationship turns edges round that SPDX has in both directions.
func relationship(from, to, kind string) (string, string, string) {
	switch kind {
	case "DEPENDS_ON":
		return from, to, dependsOn
	case "DEPENDENCY_OF", "RUNTIME_DEPENDENCY_OF", "BUILD_DEPENDENCY_OF", "DEV_DEPENDENCY_OF",
		"TEST_DEPENDENCY_OF", "OPTIONAL_DEPENDENCY_OF", "PROVIDED_DEPENDENCY_OF":
		return to, from, dependsOn
	case "CONTAINS":
		return from, to, contains
	case "CONTAINED_BY":
		return to, from, contains
	case "DESCRIBED_BY":
		return to, from, "describes"
	}
	return from, to, word(kind)
}
