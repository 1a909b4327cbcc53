package vex

import (
	"slices"
	"time"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/purl"
	"github.com/assay-dev/assay/predicate/vuln"
)

// MaxProducts is how many names a product may have, and maxComparisons how many
// pairs of a finding and a statement or a subcomponent are looked at: some seconds of
// work. MaxText is how many bytes the statements have that remove findings: one may
// remove them all.
const (
	MaxProducts    = 64
	MaxText        = bounded.MaxBytes
	maxComparisons = 10_000_000
)

// Apply takes out of findings what the documents say does not affect the product,
// at a time. Documents are OpenVEX, each by itself, as a JSON string, in cosign's
// {"Data": "…"} or in an in-toto statement; one that cannot be read is an error.
// Products are the names by which the statements may know the image: package URLs,
// digests as in sha256:…, any other identifier. The error is a *bounded.Error.
func Apply(findings []vuln.Finding, documents [][]byte, products []string, at time.Time) (Result, error) {
	if len(products) > MaxProducts {
		return Result{}, bounded.Refuse(bounded.TooLarge, "products", "got %d, want at most %d", len(products), MaxProducts)
	}
	a := applier{at: at, byName: map[string][]claim{}}
	for _, name := range products {
		a.products = append(a.products, productNamed(name))
	}
	size := 0
	for i, document := range documents {
		path := bounded.At("documents", i)
		if size += len(document); size > bounded.MaxBytes {
			return Result{}, bounded.Refuse(bounded.TooLarge, path, "got %d bytes so far, want at most %d in all", size, bounded.MaxBytes)
		}
		if err := a.read(document); err != nil {
			return Result{}, bounded.Within(path, err)
		}
	}
	out := Result{Remaining: []vuln.Finding{}, Removed: []Removed{}}
	for _, finding := range findings {
		statement, err := a.removes(finding)
		switch {
		case err != nil:
			return Result{}, err
		case statement == nil:
			out.Remaining = append(out.Remaining, finding)
		case a.text+statement.size() > MaxText:
			return Result{}, bounded.Refuse(bounded.TooLarge, "", "got statements of more than %d bytes that remove findings, want at most that", MaxText)
		default:
			a.text += statement.size()
			out.Removed = append(out.Removed, Removed{Finding: finding, Statement: *statement})
		}
	}
	return out, nil
}

// applier holds the statements that name the product and are not too new.
type applier struct {
	at          time.Time
	products    []product
	byName      map[string][]claim
	statements  int
	comparisons int
	// text is how many bytes the statements have that remove findings.
	text int
}

func (s Statement) size() int {
	return len(s.Document) + len(s.Author) + len(s.ID) + len(s.Product) + len(s.Justification) + len(s.ImpactStatement)
}

// claim is one such statement about the product.
type claim struct {
	statement *Statement
	when      time.Time
	// inside are the packages that it is about; all where general is set.
	inside  []purl.PURL
	general bool
}

// takesOut says whether the status removes findings.
func (c claim) takesOut() bool {
	return c.statement.Status == statusNotAffected || c.statement.Status == statusFixed
}

// removes returns the statement that takes the finding out, nil for none.
func (a *applier) removes(f vuln.Finding) (*Statement, error) {
	// A package that has no name is in no subcomponent.
	found, err := purl.Parse(f.Package.PURL)
	named := err == nil
	var newest []claim
	for _, name := range append([]string{f.ID}, f.Aliases...) {
		for _, c := range a.byName[name] {
			if err := a.compare(1 + len(c.inside)); err != nil {
				return nil, err
			}
			if len(newest) > 0 && c.when.Before(newest[0].when) {
				continue
			}
			covered := c.general || named && c.has(found)
			switch {
			case !covered:
			case len(newest) > 0 && c.when.Equal(newest[0].when):
				newest = append(newest, c)
			default:
				newest = []claim{c}
			}
		}
	}
	if len(newest) == 0 || slices.ContainsFunc(newest, func(c claim) bool { return !c.takesOut() }) {
		return nil, nil
	}
	return newest[0].statement, nil
}

// compare counts pairs before they are looked at.
func (a *applier) compare(pairs int) error {
	if a.comparisons += pairs; a.comparisons > maxComparisons {
		return bounded.Refuse(bounded.TooLarge, "", "got more than %d pairs of findings and statements, want at most that", maxComparisons)
	}
	return nil
}

// has says whether a package is among those that the claim is about.
func (c claim) has(found purl.PURL) bool {
	return slices.ContainsFunc(c.inside, func(inside purl.PURL) bool { return inside.Covers(found) })
}

// product is a name of the image.
type product struct {
	name string
	// digest is sha256:…, where the name is one or a package URL has one.
	digest string
	// url is zero where the name is no package URL.
	url purl.PURL
}

func productNamed(name string) product {
	out := product{name: name}
	if isDigest(name) {
		out.digest = name
	}
	if url, err := purl.Parse(name); err == nil {
		out.url, out.digest = url, imageDigest(url)
	}
	return out
}

// imageDigest is the version of the package URL of an image, which is its digest.
func imageDigest(url purl.PURL) string {
	if url.Type == "oci" && isDigest(url.Version) {
		return url.Version
	}
	return ""
}
