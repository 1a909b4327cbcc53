package sbom

import (
	"slices"

	"github.com/assay-dev/assay/predicate/bounded"
)

// CycloneDX/cyclonedx-go v0.12.0 knows the same fields. It is not used: a component
// of {} takes 400 bytes of it, all are in memory before any can be refused, and it
// compares names without case.

// cyclonedx is what is read of https://cyclonedx.org/docs/1.7/json/.
type cyclonedx struct {
	Format   string `json:"bomFormat"`
	Version  string `json:"specVersion"`
	Metadata struct {
		Timestamp string     `json:"timestamp"`
		Component *component `json:"component"`
	} `json:"metadata"`
	Components   bounded.Raw `json:"components"`
	Dependencies bounded.Raw `json:"dependencies"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
	Provides  []string `json:"provides"`
}

type component struct {
	Ref      string `json:"bom-ref"`
	Type     string `json:"type"`
	Group    string `json:"group"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	PURL     string `json:"purl"`
	CPE      string `json:"cpe"`
	Supplier *struct {
		Name string `json:"name"`
	} `json:"supplier"`
	Hashes []struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	} `json:"hashes"`
	Licenses   []licence   `json:"licenses"`
	Components bounded.Raw `json:"components"`
}

type licence struct {
	License *struct {
		ID              string `json:"id"`
		Name            string `json:"name"`
		Acknowledgement string `json:"acknowledgement"`
	} `json:"license"`
	Expression      string `json:"expression"`
	Acknowledgement string `json:"acknowledgement"`
}

func cyclonedxVersions() []string {
	return []string{"1.2", "1.3", "1.4", "1.5", "1.6", "1.7"}
}

func readCycloneDX(data []byte) (Document, error) {
	var in cyclonedx
	if err := bounded.Decode(data, &in); err != nil {
		return Document{}, err
	}
	if in.Format != "CycloneDX" {
		return Document{}, bounded.Refuse(bounded.Unsupported, "bomFormat", "got %s, want CycloneDX", bounded.Quoted(in.Format))
	}
	if !slices.Contains(cyclonedxVersions(), in.Version) {
		return Document{}, bounded.Refuse(bounded.Unsupported, "specVersion", "got %s, want 1.2 to 1.7", bounded.Quoted(in.Version))
	}
	b := newBuilder("cyclonedx", in.Version)
	var err error
	if b.document.Created, err = bounded.Time("metadata.timestamp", in.Metadata.Timestamp); err != nil {
		return Document{}, err
	}
	var roots []string
	if root := in.Metadata.Component; root != nil {
		b.document.Name = root.Name
		id, err := b.component("metadata.component", *root, 0)
		if err != nil {
			return Document{}, err
		}
		roots = []string{id}
	}
	err = bounded.Each("components", in.Components, func(path string, c component) error {
		_, err := b.component(path, c, 0)
		return err
	})
	if err != nil {
		return Document{}, err
	}
	err = bounded.Each("dependencies", in.Dependencies, b.dependency)
	return b.finish(roots), err
}

func (b *builder) dependency(path string, d dependency) error {
	for _, to := range d.DependsOn {
		if err := b.relate(path, d.Ref, to, dependsOn); err != nil {
			return err
		}
	}
	for _, to := range d.Provides {
		if err := b.relate(path, d.Ref, to, "provides"); err != nil {
			return err
		}
	}
	return nil
}

// maxNesting is how deep components lie in components. Each level is read once more
// for each level above it.
const maxNesting = 8

// component adds a component and those inside it, and returns its ID: where it has
// none, that is its place.
func (b *builder) component(path string, c component, nesting int) (string, error) {
	if nesting > maxNesting {
		return "", bounded.Refuse(bounded.TooLarge, path, "got components %d deep in others, want at most %d", nesting, maxNesting)
	}
	out, err := c.read(path)
	if err != nil {
		return "", err
	}
	if err := b.add(path, out); err != nil {
		return "", err
	}
	return out.ID, bounded.Each(path+".components", c.Components, func(path string, inner component) error {
		id, err := b.component(path, inner, nesting+1)
		if err != nil {
			return err
		}
		return b.relate(path, out.ID, id, contains)
	})
}

func (c component) read(path string) (Package, error) {
	out := Package{ID: c.Ref, Name: c.Name, Group: c.Group, Version: c.Version, Type: word(c.Type)}
	if out.ID == "" {
		out.ID = path
	}
	if c.Supplier != nil {
		out.Supplier = c.Supplier.Name
	}
	if c.PURL != "" {
		out.PURLs = []string{c.PURL}
	}
	if c.CPE != "" {
		out.CPEs = []string{c.CPE}
	}
	for i, h := range c.Hashes {
		if err := out.hash(bounded.At(path+".hashes", i), h.Algorithm, h.Content); err != nil {
			return Package{}, err
		}
	}
	for i, l := range c.Licenses {
		licences := l.read()
		if len(licences) == 0 {
			return Package{}, bounded.Refuse(bounded.Malformed, bounded.At(path+".licenses", i), "got no licence and no expression, want one")
		}
		for _, licence := range licences {
			if known(licence.Expression) != "" {
				out.Licenses = append(out.Licenses, licence)
			}
		}
	}
	return out, nil
}

// read returns all that it says: one must not hide another, though the specification
// wants one only.
func (l licence) read() []License {
	var out []License
	if l.Expression != "" {
		out = append(out, License{Kind: l.Acknowledgement, Expression: l.Expression})
	}
	if l.License == nil {
		return out
	}
	for _, text := range []string{l.License.ID, l.License.Name} {
		if text != "" {
			out = append(out, License{Kind: l.License.Acknowledgement, Expression: text})
		}
	}
	return out
}
