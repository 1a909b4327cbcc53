// Package vex applies OpenVEX statements to the findings of a scanner: what a
// vendor says does not affect a product is taken out, with the statement that says
// so. Whatever is unclear leaves the finding in:
//
//   - A statement counts when it names the vulnerability, by any of its names, and
//     the product: by a package URL that covers one of those asked for, by the
//     digest of the image, or by the very same identifier. A statement without
//     products names none.
//   - Where the product has subcomponents, the package of the finding must be one
//     of them, by package URL. A finding without one is in no subcomponent.
//   - Of the statements that count the newest decides: not_affected and fixed take
//     the finding out, affected and under_investigation leave it in. Of several that
//     are as new as each other, all must take it out.
//   - A statement that was made or changed after the time asked about does not
//     count, whatever it says: the result is what was known then.
//
// Who may make statements is not decided here. The documents are those whose
// signatures a policy has had verified.
package vex

import "github.com/assay-dev/assay/predicate/vuln"

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
