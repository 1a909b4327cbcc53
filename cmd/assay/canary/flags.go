package canary

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// Flags say how a candidate is tried. What it is, and where it comes from, they do not say.
type Flags struct {
	// Share is the share of one core, Sample that of decisions, and Fetch how many
	// questions to registries a minute may have.
	Share, Sample float64
	Fetch         int
}

// Add adds them.
func (f *Flags) Add(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&f.Share, "canary-share", 0.2, "share of one core that a candidate may take, more than 0 and at most 1")
	cmd.Flags().Float64Var(&f.Sample, "canary-sample", 1, "share of decisions that a candidate judges too, from 0 to 1")
	cmd.Flags().IntVar(&f.Fetch, "canary-fetch", 0, "questions to registries a minute for facts that only the candidate asks for; 0 asks nobody")
}

// Check refuses flags that say nothing. tried says that there is a candidate for them to
// be about.
func (f *Flags) Check(tried bool) error {
	switch {
	case !(f.Share > 0 && f.Share <= 1): // also not a number
		return fmt.Errorf("--canary-share: got %v, want more than 0 and at most 1", f.Share)
	case !(f.Sample >= 0 && f.Sample <= 1):
		return fmt.Errorf("--canary-sample: got %v, want from 0 to 1", f.Sample)
	case f.Fetch < 0:
		return fmt.Errorf("--canary-fetch: got %d, want 0 or more", f.Fetch)
	case !tried && (f.Share != 0.2 || f.Sample != 1 || f.Fetch != 0):
		return fmt.Errorf("--canary: got none, want the candidate that the other flags are about")
	}
	return nil
}

// Set sets what the flags say of options.
func (f *Flags) Set(o *Options) { o.Share, o.Skip, o.FetchPerMinute = f.Share, 1-f.Sample, f.Fetch }

// Add adds the flags of a rule, see [RuleFlags].
func (r *Rule) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Int64Var(&r.MinDecisions, "min-decisions", 1000, "decisions of known outcome that the candidate is to have")
	flags.DurationVar(&r.MinTime, "min-time", time.Hour, "time for which it is to have been tried, by each replica")
	flags.Int64Var(&r.MaxUnknown, "max-unknown", 0, "decisions of unknown outcome that it may have")
	flags.Int64Var(&r.MaxDifferences, "max-differences", 0, "decisions that it may answer differently, besides those that are accepted")
	flags.Int64Var(&r.MaxDropped, "max-dropped", -1, "decisions that it may not have judged, -1 for as many as it did")
	flags.StringArrayVar(&r.Accepted, "accept", nil, "`difference` that is meant, as assay canary prints it (repeatable)")
}

// RuleFlags are the names of the flags of a rule.
func RuleFlags() []string {
	return []string{"min-decisions", "min-time", "max-unknown", "max-differences", "max-dropped", "accept"}
}
