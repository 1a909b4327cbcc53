package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/plain"
)

// Canary is assay canary.
func Canary() *cobra.Command {
	var from reports
	var rule canary.Rule
	var urls []string
	output := "text"
	cmd := &cobra.Command{
		Use:   "canary --url URL",
		Short: "Show how a candidate's answers differ from those that are given",
		Long: "Canary shows what became of the candidate that a program tries beside the policies that serve, and whether\n" +
			"a rule would let it serve. Of several replicas the reports are added up.",
		Example: "  assay canary --url https://assay.assay-system.svc/canary --ca ca.crt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(urls) == 0 {
				return errors.New("--url: got none, want that of a report")
			}
			if output != "text" && output != "json" {
				return fmt.Errorf("--output: got %q, want text or json", output)
			}
			report, err := together(cmd, &from, urls)
			if err != nil {
				return err
			}
			if output == "text" {
				return show(cmd.OutOrStdout(), report, rule)
			}
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetIndent("", "  ")
			return encoder.Encode(report)
		},
	}
	cmd.Flags().StringArrayVar(&urls, "url", nil, "`URL` or file of a report (repeatable, one for each replica)")
	cmd.Flags().StringVarP(&output, "output", "o", output, "how to print the report: text or json")
	from.add(cmd)
	rule.Add(cmd)
	return cmd
}

// together reads reports and joins them.
func together(cmd *cobra.Command, from *reports, at []string) (canary.Report, error) {
	var all []canary.Report
	for _, one := range at {
		report, err := from.read(cmd.Context(), one)
		if err != nil {
			return canary.Report{}, err
		}
		all = append(all, report)
	}
	joined, err := canary.Together(all...)
	if err == nil && len(all) == 1 {
		return all[0], nil
	}
	return joined, err
}

// show prints a report.
func show(out io.Writer, r canary.Report, rule canary.Rule) error {
	p := &printer{}
	if r.Since.IsZero() {
		_, why := r.Verdict(rule)
		p.line("%s", plain.Below(why))
		return p.to(out)
	}
	p.line("candidate %s, revision %s%s, tried for %s", plain.Line(r.Name), plain.Line(r.Revision), of(r.Digest), r.At.Sub(r.Since).Round(time.Second))
	if r.Error != "" {
		p.line("  does not compile: %s", plain.Below(r.Error))
	}
	if r.Source != "" {
		p.line("  not the latest: %s", plain.Below(r.Source))
	}
	for _, outcome := range canary.Outcomes() {
		p.line("  %-14s %d", outcome, r.Decisions[outcome])
	}
	p.line("  %-14s %d", "not judged", r.Dropped)
	for _, name := range slices.Sorted(maps.Keys(r.Policies)) {
		var counts []string
		for _, outcome := range canary.Outcomes() {
			if n := r.Policies[name][outcome]; n > 0 {
				counts = append(counts, fmt.Sprintf("%s %d", outcome, n))
			}
		}
		p.line("policy %s: %s", plain.Line(name), strings.Join(counts, ", "))
	}
	for _, d := range r.Differences {
		p.difference(d)
	}
	if r.More > 0 {
		p.line("and %d decisions of other differences", r.More)
	}
	verdict, why := r.Verdict(rule)
	p.line("%s: %s", verdict, plain.Line(why))
	return p.to(out)
}

func of(digest string) string {
	if digest == "" {
		return ""
	}
	return ", " + plain.Line(digest)
}

type printer struct{ text strings.Builder }

func (p *printer) line(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *printer) to(out io.Writer) error {
	_, err := io.WriteString(out, p.text.String())
	return err
}

func (p *printer) difference(d canary.Difference) {
	p.line("%s: %d", plain.Line(d.Key()), d.Count)
	p.line("  as %s %s: %s", plain.Line(d.Kind), plain.Line(d.Example.Name), plain.Line(strings.Join(d.Example.Images, ", ")))
	p.said("answered", d.Example.Live)
	if d.Outcome != canary.Unknown {
		p.said("candidate", d.Example.Candidate)
	}
	for _, cause := range d.Example.Unknown {
		p.line("  unknown: %s", plain.Line(cause))
	}
}

func (p *printer) said(who string, s canary.Said) {
	verdict := "denied"
	if s.Allowed {
		verdict = "admitted"
	}
	p.line("  %s: %s", who, verdict)
	for _, reason := range s.Reasons {
		p.line("    %s", plain.Line(reason))
	}
	for _, warning := range s.Warnings {
		p.line("    warning: %s", plain.Line(warning))
	}
}
