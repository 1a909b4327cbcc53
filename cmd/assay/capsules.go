package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/diff"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/replay"
	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
)

// refreshTime bounds how long the TrustRoots of policies that judge capsules, or are
// compared, may take to be fetched.
const refreshTime = 30 * time.Second

func replayCommand() *cobra.Command {
	flags := wiring.Defaults()
	flags.PrivateRegistries = true
	return replay.Command(replay.Program{
		Version: version(),
		Flags: func(cmd *cobra.Command) {
			flags.Rego.AddRegistries(cmd)
			flags.Rego.Add(cmd)
		},
		Print: func(out io.Writer, form string, decision rego.Decision) error {
			return (&verifyFlags{output: form}).print(out, decision, rego.Explanation{})
		},
		Policies: func(ctx context.Context, paths []string, stderr io.Writer) (*recording.Policies, error) {
			flags.Policies = paths
			w, err := wiring.New(flags, "resolve", 0)
			if err != nil {
				return nil, err
			}
			policies, _, err := others(ctx, w, false, "warning:", stderr)
			return policies, err
		},
	})
}

func diffCommand() *cobra.Command {
	var flags wiring.Flags
	return diff.Command(diff.Program{
		// Whoever compares names the manifests, and with them the hosts.
		Flags:  func(cmd *cobra.Command) { flags.AddEngine(cmd, true) },
		Review: func(manifest []byte) ([]byte, error) { return reviews.Resource(manifest, nil) },
		Judges: func(ctx context.Context, old, changed []string, live bool, stderr io.Writer) (first, second diff.Judge, err error) {
			flags.Policies = old
			w, err := wiring.New(flags, "resolve", 0)
			if err != nil {
				return first, second, err
			}
			if first, err = judge(ctx, w, live, "warning: --old:", stderr); err != nil {
				return first, second, fmt.Errorf("--old: %w", err)
			}
			// Both ask through one client: what the registry said to one it said to the other.
			w.Flags.Policies = changed
			if second, err = judge(ctx, w, live, "warning: --new:", stderr); err != nil {
				return first, second, fmt.Errorf("--new: %w", err)
			}
			return first, second, nil
		},
	})
}

// others reads policies that judge what others judged before. Capsules have a default
// root of their own; without one nothing is judged live. Warnings begin with the words
// of the caller.
func others(ctx context.Context, w *wiring.Wiring, live bool, warning string, stderr io.Writer) (*recording.Policies, *rego.Set, error) {
	documents, err := w.Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	wanted := documents.Wanted(w.Root)
	if !live {
		delete(wanted, "")
	}
	if err := wiring.Refresh(ctx, wanted, refreshTime, warning, stderr); err != nil {
		return nil, nil, err
	}
	set, err := w.Compile(ctx, documents)
	if err != nil {
		return nil, nil, err
	}
	for _, text := range append(documents.Warnings, set.Warnings()...) {
		fmt.Fprintln(stderr, warning, plain.Below(text))
	}
	return &recording.Policies{Source: w.Source(documents), Roots: documents.Named.Roots()}, set, nil
}

// judge makes one of the two judges of a comparison.
func judge(ctx context.Context, w *wiring.Wiring, live bool, warning string, stderr io.Writer) (out diff.Judge, err error) {
	policies, set, err := others(ctx, w, live, warning, stderr)
	if err != nil {
		return out, err
	}
	recorded, err := recording.NewJudge()
	out.Live = rego.NewEngine(set, nil).Decide
	out.Recorded = func(ctx context.Context, c *capsule.Capsule) (rego.Decision, []string, error, error) {
		judged, err := recorded.Judge(ctx, c, policies)
		return judged.Decision, judged.NotRecorded, judged.Err, err
	}
	return out, err
}
