// Package fleet is assay fleet: which cluster runs which policies, how old they are, and what they denied. It reads what
// servers wrote into an object store, OPA's status and decision logs, and asks no server.
//
// Whoever may write there may write anything: an object that is not what it should be is told of, and the rest is
// answered; what is said of a replica is no more than what the store says in its name.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/rego/bundle/stores"
)

// ErrFindings is that --check found something.
var ErrFindings = errors.New("the fleet is not as it should be")

type flags struct {
	cluster        string
	since, stale   time.Duration
	expiring, gone time.Duration
	canary         bool
	rule           canary.Rule
	output         string
	top            int
	denials, check bool
	timeout        time.Duration
}

// Command is assay fleet.
func Command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "fleet [flags] STORE",
		Short: "Show which cluster runs which policies, and what they denied",
		Long: "Fleet reads the status and the decision logs that servers wrote into an object store, and says which cluster\n" +
			"runs which revision of which bundle, since when, when its source was last reached, what failed, who is behind,\n" +
			"what expires, what was lost, and what was denied; with --canary also how candidates do. It asks no server. STORE is file:///dir, s3://bucket/prefix or oci://registry/repository.\n\n" +
			"Exit code 0: it was read; 1: with --check, something is stale, failing, behind, past its time or soon, or could\n" +
			"not be read; 2: the store could not be read.",
		Example: "  assay fleet s3://acme-assay/fleet?region=eu-west-1\n" +
			"  assay fleet --denials --since 1h --cluster prod file:///var/lib/assay",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("got %d stores, want one: %s", len(args), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range canary.RuleFlags() {
				if cmd.Flags().Changed(name) && !f.canary {
					return fmt.Errorf("--%s: got it without --canary, want the candidates that it is about", name)
				}
			}
			if !cmd.Flags().Changed("gone") {
				f.gone = max(f.gone, f.stale)
			}
			return f.run(cmd, args[0])
		},
	}
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "read this `name` alone")
	cmd.Flags().DurationVar(&f.since, "since", 24*time.Hour, "count decisions of this long")
	cmd.Flags().DurationVar(&f.stale, "stale", 15*time.Minute, "how long ago a replica, and the source of a bundle, may last have been heard of")
	cmd.Flags().DurationVar(&f.gone, "gone", 24*time.Hour, "leave out replicas that were not heard of for this long; 0 leaves out those alone that said that they stop")
	cmd.Flags().DurationVar(&f.expiring, "expiring", 24*time.Hour, "tell of bundles that expire within this long; 0 tells of those that did alone")
	cmd.Flags().BoolVar(&f.canary, "canary", false, "tell of the candidates that clusters try, and whether a rule would let them serve")
	f.rule.Add(cmd)
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "how to print: table or json")
	cmd.Flags().IntVar(&f.top, "top", 10, "how many policies, images and namespaces to name")
	cmd.Flags().BoolVar(&f.denials, "denials", false, "print what was denied, by policy, image and namespace")
	cmd.Flags().BoolVar(&f.check, "check", false, "exit with 1 where something is stale, failing, behind, expired or expiring, or cannot be read")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Minute, "deadline of all of it")
	return cmd
}

func (f flags) run(cmd *cobra.Command, where string) error {
	switch {
	case f.output != "table" && f.output != "json":
		return fmt.Errorf("--output: got %q, want table or json", f.output)
	case f.since <= 0 || f.since > 366*24*time.Hour:
		return fmt.Errorf("--since: got %s, want more than none and at most a year", f.since)
	case f.stale <= 0:
		return fmt.Errorf("--stale: got %s, want more than none", f.stale)
	case f.gone < 0 || f.gone > 0 && f.gone < f.stale:
		return fmt.Errorf("--gone: got %s, want none or at least --stale, %s", f.gone, f.stale)
	case f.expiring < 0:
		return fmt.Errorf("--expiring: got %s, want none or more", f.expiring)
	case f.top < 0:
		return fmt.Errorf("--top: got %d, want none or more", f.top)
	}
	if f.cluster != "" {
		if err := stores.CheckName(f.cluster); err != nil {
			return fmt.Errorf("--cluster: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	store, err := stores.Open(ctx, where, stores.Options{Timeout: time.Minute})
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	report, err := read(ctx, store, question{
		cluster: f.cluster, since: now.Add(-f.since), now: now, stale: f.stale, gone: f.gone, soon: f.expiring, top: min(f.top, maxNames),
		canary: f.canary, rule: f.rule,
	})
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	if err := report.print(cmd.OutOrStdout(), f.output, f.denials); err != nil {
		return err
	}
	if f.check && !report.fine() {
		return ErrFindings
	}
	return nil
}
