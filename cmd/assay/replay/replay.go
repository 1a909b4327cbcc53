// Package replay is assay replay: it makes recorded decisions again and says whether
// they come out the same.
package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// ErrDiffers is that a decision did not come out as it was recorded.
var ErrDiffers = errors.New("the decision differs from the recorded one")

// Program is what replay wants of the program that it is part of.
type Program struct {
	// Version is that of the program.
	Version string
	// Print prints a decision in a form, text or json, as verify does.
	Print func(out io.Writer, form string, decision rego.Decision) error
	// Flags adds those that say how policies are read.
	Flags func(cmd *cobra.Command)
	// Policies reads the policies in files and directories.
	Policies func(ctx context.Context, paths []string, warnings io.Writer) (*recording.Policies, error)
}

type flags struct {
	policies []string
	output   string
	timeout  time.Duration
}

// Command is assay replay.
func Command(program Program) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "replay [flags] CAPSULE...",
		Short: "Make recorded decisions again, without a network",
		Long: "Replay makes the decisions of capsules again, from what is in them: the review, the policies, the\n" +
			"trust roots, the time, and what registries answered. Signatures are verified anew, and nobody is asked.\n\n" +
			"Exit code 0: every decision is the recorded one, byte for byte; 1: one differs, or lacks what was not\n" +
			"recorded; 2: a capsule cannot be used.",
		Example: "  assay verify --policy policies/ --record capsules/ ghcr.io/acme/app:v1\n" +
			"  assay replay capsules/*" + capsule.Extension,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range aboutPolicies() {
				if len(f.policies) == 0 && cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s: got it without --policy, want the policies that it is about", name)
				}
			}
			return f.run(cmd.Context(), program, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	program.Flags(cmd)
	cmd.Flags().StringArrayVar(&f.policies, "policy", nil, "`path` of policies to judge by in the place of the recorded ones (repeatable)")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "how to print decisions: text or json")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "deadline of each decision")
	return cmd
}

// aboutPolicies are the flags of a [Program]: the recorded policies have their own.
func aboutPolicies() []string {
	return []string{"allow-builtin", "allow-net", "policy-registry", "v0-compatible"}
}

func (f flags) run(ctx context.Context, program Program, paths []string, stdout, stderr io.Writer) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output: got %q, want text or json", f.output)
	}
	if len(paths) == 0 {
		return errors.New("got no capsule, want at least one")
	}
	var others *recording.Policies
	if len(f.policies) > 0 {
		var err error
		if others, err = program.Policies(ctx, f.policies, stderr); err != nil {
			return err
		}
	}
	judge, err := recording.NewJudge()
	if err != nil {
		return err
	}
	var errs []error
	differs := false
	for _, path := range paths {
		same, err := f.one(ctx, program, judge, others, path, stdout, stderr)
		if err != nil {
			errs = append(errs, err)
		}
		differs = differs || !same
	}
	switch {
	case len(errs) > 0:
		return errors.Join(errs...)
	case differs:
		return ErrDiffers
	}
	return nil
}

// one replays one capsule.
func (f flags) one(ctx context.Context, program Program, judge *recording.Judge, others *recording.Policies, path string,
	stdout, stderr io.Writer,
) (same bool, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return false, fmt.Errorf("%s: got a directory, want a capsule: name its files, as in %[1]s%c*%s", filepath.Clean(path), filepath.Separator, capsule.Extension)
	}
	c, digest, err := capsule.Open(path)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	judged, err := judge.Judge(ctx, c, others)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	outcome, err := judged.Outcome()
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	named := plain.Line(path)
	// Only what the capsule holds makes a decision: one that lacks an answer is none.
	unknown := len(judged.NotRecorded) > 0
	switch {
	case unknown:
		_, err = fmt.Fprintln(stdout, "no decision:", lacks(len(judged.NotRecorded)))
	case judged.Err != nil:
		_, err = fmt.Fprintln(stdout, "no decision:", plain.Below(judged.Err.Error()))
	default:
		err = program.Print(stdout, f.output, judged.Decision)
	}
	if err != nil {
		return false, err
	}
	// Whoever writes a capsule can make its digests fit.
	defer fmt.Fprintf(stderr, "  digest %s; it is not signed: nothing proves who recorded it\n", digest)
	if !unknown && recording.Same(outcome, c.Outcome) {
		fmt.Fprintf(stderr, "%s: identical: %s\n", named, outcome.Verdict())
		return true, nil
	}
	fmt.Fprintf(stderr, "%s: differs: recorded %s, replayed %s\n", named, c.Outcome.Verdict(), verdict(outcome, judged))
	for _, cause := range causes(c, judged, program.Version, others != nil) {
		fmt.Fprintln(stderr, "  "+plain.Below(cause))
	}
	if unknown {
		return false, nil
	}
	_, err = io.WriteString(stderr, plain.Text(string(diff.Diff("recorded", pretty(c.Outcome), "replayed", pretty(outcome)))))
	return false, err
}

func lacks(n int) string {
	if n == 1 {
		return "1 answer that it needs is not recorded"
	}
	return fmt.Sprintf("%d answers that it needs are not recorded", n)
}

func verdict(outcome capsule.Outcome, judged recording.Judged) string {
	if len(judged.NotRecorded) > 0 {
		return "unknown"
	}
	return outcome.Verdict()
}

// causes are what is not as it was when the decision was recorded: with none of them
// the decision would be the same.
func causes(c *capsule.Capsule, judged recording.Judged, version string, others bool) []string {
	var out []string
	for _, call := range judged.NotRecorded {
		out = append(out, "not recorded: "+call)
	}
	switch {
	case others:
		out = append(out, "judged by other policies than the recorded ones")
	case judged.PolicySet != c.Settings.PolicySet:
		out = append(out, fmt.Sprintf("the policies compile to another set: got %.12s, want %.12s", judged.PolicySet, c.Settings.PolicySet))
	}
	if version != c.Settings.Program {
		out = append(out, fmt.Sprintf("recorded by version %s, this is %s", c.Settings.Program, version))
	}
	if n := len(c.Settings.Masked); n > 0 {
		why := "a policy that looks at them judges the masks"
		if len(out) == 0 {
			why = "a policy looked at them" // nothing else can have made the difference
		}
		out = append(out, fmt.Sprintf("%d values are masked (%s): %s", n, first(c.Settings.Masked), why))
	}
	if len(out) == 0 {
		out = append(out, "and nothing is known to be different: the capsule was edited, or this is a bug worth reporting")
	}
	return out
}

func first(places []string) string {
	const most = 3
	if len(places) > most {
		return strings.Join(places[:most], ", ") + ", …"
	}
	return strings.Join(places, ", ")
}

// pretty is an outcome with a line for each value.
func pretty(o capsule.Outcome) []byte {
	if o.Error != "" {
		return []byte("no decision: " + o.Error + "\n")
	}
	var out bytes.Buffer
	if json.Indent(&out, o.Decision, "", "  ") != nil {
		return append(o.Decision, '\n')
	}
	return append(out.Bytes(), '\n')
}
