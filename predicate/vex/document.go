package vex

import (
	"regexp"
	"strings"
	"time"

	openvex "github.com/openvex/go-vex/pkg/vex"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/purl"
)

// The rules for statements are go-vex's. Its matching is not used: it takes a hash
// by any algorithm for any other, and a statement about a subcomponent for one about
// the product where nobody names a package. Its documents do not name the field of a
// time that is none.

const (
	statusNotAffected = string(openvex.StatusNotAffected)
	statusFixed       = string(openvex.StatusFixed)
)

// MaxStatements is how many statements all documents may have.
const MaxStatements = 50_000

// predicateTypes are those of statements around OpenVEX.
func predicateTypes() []string {
	return append(bounded.Custom(), openvex.TypeURI, "https://openvex.dev/ns/v0.2.0")
}

// document is what is read of https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md.
type document struct {
	Context    string      `json:"@context"`
	ID         string      `json:"@id"`
	Author     string      `json:"author"`
	Timestamp  string      `json:"timestamp"`
	Updated    string      `json:"last_updated"`
	Statements bounded.Raw `json:"statements"`
}

type statement struct {
	ID            string `json:"@id"`
	Vulnerability struct {
		ID      string   `json:"@id"`
		Name    string   `json:"name"`
		Aliases []string `json:"aliases"`
	} `json:"vulnerability"`
	Timestamp string `json:"timestamp"`
	Updated   string `json:"last_updated"`
	Products  []struct {
		component
		Subcomponents []component `json:"subcomponents"`
	} `json:"products"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
	Impact        string `json:"impact_statement"`
	Action        string `json:"action_statement"`
}

type component struct {
	ID          string            `json:"@id"`
	Hashes      map[string]string `json:"hashes"`
	Identifiers map[string]string `json:"identifiers"`
}

func (a *applier) read(data []byte) error {
	data, err := bounded.Unwrap(data, predicateTypes())
	if err != nil {
		return err
	}
	var in document
	if err := bounded.Decode(data, &in); err != nil {
		return err
	}
	if in.Context != openvex.TypeURI && in.Context != openvex.TypeURI+"/v0.2.0" {
		return bounded.Refuse(bounded.Unsupported, "@context", "got %s, want %s/v0.2.0", bounded.Quoted(in.Context), openvex.TypeURI)
	}
	if in.Statements.Absent() {
		return bounded.Refuse(bounded.Malformed, "statements", "got none, want a list")
	}
	return bounded.Each("statements", in.Statements, func(path string, s statement) error {
		if a.statements++; a.statements > MaxStatements {
			return bounded.Refuse(bounded.TooLarge, path, "got more than %d statements, want at most that", MaxStatements)
		}
		return a.statement(path, in, s)
	})
}

// statement keeps what a statement says about the product.
func (a *applier) statement(path string, in document, s statement) error {
	if s.Vulnerability.Name == "" {
		return bounded.Refuse(bounded.Malformed, path+".vulnerability.name", "got none, want one")
	}
	if err := valid(path, s); err != nil {
		return err
	}
	when, err := newest(path, in, s)
	if err != nil {
		return err
	}
	if when.After(a.at) {
		return nil
	}
	c := claim{when: when}
	for _, p := range s.Products {
		name, ok := a.names(p.component)
		if !ok {
			continue
		}
		if c.statement == nil {
			c.statement = &Statement{
				Document: in.ID, Author: in.Author, ID: s.ID, Product: name, Status: s.Status, Justification: s.Justification,
				ImpactStatement: s.Impact, Timestamp: when.UTC().Format(time.RFC3339Nano),
			}
		}
		c.general = c.general || len(p.Subcomponents) == 0
		for _, inside := range p.Subcomponents {
			c.inside = append(c.inside, inside.urls()...)
		}
	}
	if c.statement == nil {
		return nil
	}
	for _, name := range append([]string{s.Vulnerability.Name, s.Vulnerability.ID}, s.Vulnerability.Aliases...) {
		if name != "" {
			a.byName[name] = append(a.byName[name], c)
		}
	}
	return nil
}

// valid wants a status of the list, and of a statement that takes findings out all
// that the specification wants of it. The others are not worth a refusal: they take
// nothing out, and what they are short of is advice.
func valid(path string, s statement) error {
	if !openvex.Status(s.Status).Valid() {
		return bounded.Refuse(bounded.Malformed, path+".status", "got %s, want one of %s", bounded.Quoted(s.Status), strings.Join(openvex.Statuses(), ", "))
	}
	if s.Status != statusNotAffected && s.Status != statusFixed {
		return nil
	}
	full := openvex.Statement{
		Status: openvex.Status(s.Status), Justification: openvex.Justification(s.Justification), ImpactStatement: s.Impact, ActionStatement: s.Action,
	}
	if err := full.Validate(); err != nil {
		return bounded.Refuse(bounded.Malformed, path, "%s", bounded.Cut(err.Error()))
	}
	return nil
}

// newest is when a statement was made or changed: it inherits the times that it does
// not have.
func newest(path string, in document, s statement) (time.Time, error) {
	var out time.Time
	for _, field := range []struct{ path, own, inherited, from string }{
		{path + ".timestamp", s.Timestamp, "timestamp", in.Timestamp},
		{path + ".last_updated", s.Updated, "last_updated", in.Updated},
	} {
		at, text := field.path, field.own
		if text == "" {
			at, text = field.inherited, field.from
		}
		if field.inherited == "last_updated" && s.Updated == "" && s.Timestamp != "" {
			continue // the document changed, not the statement that has a time of its own
		}
		normal, err := bounded.Time(at, text)
		if err != nil {
			return time.Time{}, err
		}
		if instant, err := time.Parse(time.RFC3339Nano, normal); err == nil && instant.After(out) {
			out = instant
		}
	}
	if out.IsZero() {
		return time.Time{}, bounded.Refuse(bounded.Malformed, path+".timestamp", "got none, here or in the document, want one")
	}
	return out, nil
}

// names is the name of the product that a component has.
func (a *applier) names(c component) (string, bool) {
	urls := c.urls()
	for _, p := range a.products {
		if p.name != "" && c.ID == p.name {
			return p.name, true
		}
		for _, identifier := range c.Identifiers {
			if identifier == p.name && identifier != "" {
				return p.name, true
			}
		}
		for _, url := range urls {
			if p.url.Name != "" && url.Covers(p.url) || p.digest != "" && imageDigest(url) == p.digest {
				return p.name, true
			}
		}
		for algorithm, hash := range c.Hashes {
			if p.digest != "" && digestOf(algorithm, hash) == p.digest {
				return p.name, true
			}
		}
	}
	return "", false
}

// urls are the package URLs of a component.
func (c component) urls() []purl.PURL {
	var out []purl.PURL
	for _, text := range []string{c.ID, c.Identifiers[string(openvex.PURL)]} {
		if url, err := purl.Parse(text); err == nil {
			out = append(out, url)
		}
	}
	return out
}

// digestOf spells a hash of OpenVEX as registries do. Only what a registry may name
// an image by is of interest.
func digestOf(algorithm, hash string) string {
	switch openvex.Algorithm(algorithm) {
	case openvex.SHA256:
		return "sha256:" + strings.ToLower(hash)
	case openvex.SHA512:
		return "sha512:" + strings.ToLower(hash)
	}
	return ""
}

var digest = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

func isDigest(text string) bool { return digest.MatchString(text) }
