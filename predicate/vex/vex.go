// Package vex applies OpenVEX statements to the findings of a scanner: what a
// vendor says does not affect a product is taken out, with the statement that says
// so. Whatever is unclear leaves the finding in.
package vex

import (
	"time"

	"github.com/assay-dev/assay/predicate/vuln"
)

// Result is what is left of findings.
type Result struct {
	// Remaining are the findings that no statement removes, in their order.
	Remaining []vuln.Finding `json:"remaining"`
	// Removed are the others, in their order.
	Removed []Removed `json:"removed"`
}

// Removed is a finding with the statement that removes it.
type Removed struct {
	Finding   vuln.Finding `json:"finding"`
	Statement Statement    `json:"statement"`
}

// Statement is what a vendor says about a vulnerability of a product.
type Statement struct {
	// Document and Author are those of the OpenVEX document.
	Document string `json:"document"`
	Author   string `json:"author"`
	// ID is the statement's own, often empty.
	ID string `json:"id"`
	// Product is the one of the product identifiers asked for that it names.
	Product string `json:"product"`
	// Status is not_affected or fixed.
	Status          string `json:"status"`
	Justification   string `json:"justification"`
	ImpactStatement string `json:"impact_statement"`
	// Timestamp is RFC 3339: when the statement was last made or changed.
	Timestamp string `json:"timestamp"`
}

// Apply takes out of findings what the documents say does not affect the product,
// at a time. Documents are OpenVEX, each by itself, as a JSON string, in cosign's
// {"Data": "…"} or in an in-toto statement. Products are the names by which the
// statements may know the image: purls, digests as in sha256:…, references. The
// error is a *bounded.Error.
func Apply(findings []vuln.Finding, documents [][]byte, products []string, at time.Time) (Result, error) {
	return Result{}, nil
}
