package vuln

import (
	"slices"
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

const severityUnknown = "unknown"

// severities are the closed list, the worst last.
func severities() []string {
	return []string{severityUnknown, "negligible", "low", "medium", "high", "critical"}
}

// severity reads a scanner's word. A word that is not known is refused: taken for
// unknown it would hide what it means.
func severity(path, word string) (string, error) {
	out := strings.ToLower(word)
	switch out {
	case "":
		return severityUnknown, nil
	case "none":
		return "negligible", nil
	case "moderate":
		return "medium", nil
	}
	if !slices.Contains(severities(), out) {
		return "", bounded.Refuse(bounded.Malformed, path, "got %s, want one of %s", bounded.Quoted(word), strings.Join(severities(), ", "))
	}
	return out, nil
}

// severityOf is the qualitative rating of a CVSS base score,
// https://www.first.org/cvss/v3.1/specification-document#Qualitative-Severity-Rating-Scale.
func severityOf(score float64) string {
	switch {
	case score >= 9:
		return "critical"
	case score >= 7:
		return "high"
	case score >= 4:
		return "medium"
	case score > 0:
		return "low"
	}
	return "negligible"
}

// worse is the higher of two.
func worse(a, b string) string {
	if slices.Index(severities(), b) > slices.Index(severities(), a) {
		return b
	}
	return a
}

// The states of a finding.
const (
	stateFixed    = "fixed"
	stateNotFixed = "not-fixed"
	stateWontFix  = "wont-fix"
	stateUnknown  = "unknown"
)

func state(path, word string) (string, error) {
	switch word {
	case "":
		return stateUnknown, nil
	case stateFixed, stateNotFixed, stateWontFix, stateUnknown:
		return word, nil
	}
	return "", bounded.Refuse(bounded.Malformed, path, "got %s, want fixed, not-fixed, wont-fix or unknown", bounded.Quoted(word))
}

// higher keeps the highest score that is in the range of CVSS.
func higher(score *float64, other float64) *float64 {
	if other <= 0 || other > 10 || score != nil && *score >= other {
		return score
	}
	return &other
}
