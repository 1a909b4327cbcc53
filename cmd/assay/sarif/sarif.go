// Package sarif writes what lint found in the Static Analysis Results Interchange
// Format, which code hosts show beside the lines.
package sarif

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/owenrumney/go-sarif/v2/sarif"

	"github.com/assay-dev/assay/rego/lint"
)

// lintPage documents the rules, one section each.
const lintPage = "https://github.com/assay-dev/assay/blob/main/docs/lint.md"

// Write writes findings as SARIF 2.1.0, one run with all rules: the same findings
// are the same bytes.
// See https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
func Write(w io.Writer, version string, findings []lint.Finding) error {
	report, err := sarif.New(sarif.Version210)
	if err != nil {
		return err
	}
	run := sarif.NewRunWithInformationURI("assay", "https://github.com/assay-dev/assay")
	run.Tool.Driver.WithVersion(version)
	rules := lint.Rules()
	for _, rule := range rules {
		run.AddRule(rule.ID).
			WithShortDescription(sarif.NewMultiformatMessageString(rule.Summary)).
			WithFullDescription(sarif.NewMultiformatMessageString(rule.Summary + ". " + rule.Why)).
			WithHelp(sarif.NewMultiformatMessageString(rule.Why)).
			WithHelpURI(lintPage + "#" + rule.ID).
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(string(rule.Severity)))
	}
	for _, f := range findings {
		index := slices.IndexFunc(rules, func(r lint.Rule) bool { return r.ID == f.Rule })
		region := sarif.NewSimpleRegion(f.Line, f.Line)
		place := sarif.NewLocationWithPhysicalLocation(sarif.NewPhysicalLocation().
			WithArtifactLocation(sarif.NewSimpleArtifactLocation(fileURI(f.File))).
			WithRegion(region))
		place.WithLogicalLocations([]*sarif.LogicalLocation{sarif.NewLogicalLocation().
			WithName(f.Policy).WithFullyQualifiedName(f.Policy + "/" + f.Path).WithKind("resource")})
		run.AddResult(sarif.NewRuleResult(f.Rule).
			WithRuleIndex(index).
			WithLevel(string(f.Severity)).
			WithMessage(sarif.NewTextMessage(fmt.Sprintf("%s %s: %s; %s", f.Policy, f.Path, f.Message, f.Fix))).
			WithLocations([]*sarif.Location{place}))
	}
	report.AddRun(run)
	if err := report.PrettyWrite(w); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}

// fileURI is a file as SARIF names it: a path relative to where the program runs
// stays one.
func fileURI(file string) string {
	path := filepath.ToSlash(file)
	if filepath.IsAbs(file) {
		return (&url.URL{Scheme: "file", Path: path}).String()
	}
	return (&url.URL{Path: path}).String()
}
