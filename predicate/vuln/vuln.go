// Package vuln reads reports of vulnerability scanners as one shape: cosign's vuln
// predicate around a report, SARIF 2.1.0, the JSON of Grype, and that of Trivy; the
// content tells which.
//
// A report that says nothing is no clean report: a predicate without a result,
// a SARIF run without results, or a report of Trivy without any is refused.
package vuln

// Report is what a scanner found. Text and lists are always there, and empty where
// the report says nothing; times and scores are absent instead.
type Report struct {
	// Format is that of the report itself: sarif, grype or trivy.
	Format  string  `json:"format"`
	Scanner Scanner `json:"scanner"`
	// StartedOn and FinishedOn are RFC 3339.
	StartedOn  string `json:"started_on,omitempty"`
	FinishedOn string `json:"finished_on,omitempty"`
	// Findings are in the order of the report.
	Findings []Finding `json:"findings"`
}

// Scanner is who looked, with which knowledge.
type Scanner struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	URI     string   `json:"uri"`
	DB      Database `json:"db"`
}

// Database is what the scanner knew.
type Database struct {
	Version string `json:"version"`
	URI     string `json:"uri"`
	// UpdatedOn is RFC 3339.
	UpdatedOn string `json:"updated_on,omitempty"`
}

// Finding is one vulnerability of one package.
type Finding struct {
	// ID is as the scanner reports it: CVE-…, GHSA-…, or a distribution's own.
	ID string `json:"id"`
	// Aliases are other names of the same vulnerability, each once.
	Aliases []string `json:"aliases"`
	// Severity is unknown, negligible, low, medium, high or critical.
	Severity string  `json:"severity"`
	Package  Package `json:"package"`
	// FixedVersions are versions of the package without the vulnerability.
	FixedVersions []string `json:"fixed_versions"`
	// State is fixed, not-fixed, wont-fix or unknown. Fixed means that a fix is
	// there to be had.
	State string `json:"state"`
	// PublishedOn and ModifiedOn are RFC 3339.
	PublishedOn string `json:"published_on,omitempty"`
	ModifiedOn  string `json:"modified_on,omitempty"`
	// Score is the highest CVSS base score that the report gives.
	Score *float64 `json:"score,omitempty"`
	// Suppressed is set where the report itself says that the finding was
	// dismissed.
	Suppressed bool `json:"suppressed"`
}

// Package is where the vulnerability was found.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Type    string `json:"type"`
}
