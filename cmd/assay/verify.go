package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/why"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
)

// verifyFlags are the flags of verify; --image and --trustroot are policy-tester's.
type verifyFlags struct {
	wiring.Flags
	images   []string
	resource string
	output   string
	timeout  time.Duration
	explain  bool
	tersely  bool                   // without the decision before the explanation
	recorded func(stderr io.Writer) // writes what --record asks for
}

func verifyCommand() *cobra.Command {
	flags := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify --policy FILE|DIR [flags] IMAGE...",
		Short: "Say whether images would be admitted, and why",
		Long: "Verify judges images as the webhook would judge a Pod that runs them. Tags are resolved first,\n" +
			"as the mutating webhook does.\n\n" +
			"Exit code 0: admitted; 1: denied; 2: there is no decision.",
		Example: "  assay verify --policy policies/ --trusted-root trusted_root.json ghcr.io/acme/app:v1\n" +
			"  assay verify --policy policies/ --resource deployment.yaml -o json",
	}
	flags.addTo(cmd)
	cmd.Flags().BoolVar(&flags.explain, "explain", false, "say why, after the decision, as assay explain does")
	return cmd
}

// addTo gives a command the flags, and makes it judge.
func (f *verifyFlags) addTo(cmd *cobra.Command) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.images = append(f.images, args...)
		return verify(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	// Whoever runs verify names the images, and with them the hosts.
	f.Add(cmd, true)
	f.Record.Add(cmd, false)
	cmd.Flags().StringArrayVar(&f.images, "image", nil, "image to verify, like an argument (repeatable)")
	cmd.Flags().StringVar(&f.resource, "resource", "", "manifest `file`: policies match this resource; its images are judged unless some are named")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "how to print the decision: text or json")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "deadline of the decision")
}

func verify(ctx context.Context, flags *verifyFlags, stdout, stderr io.Writer) error {
	if flags.output != "text" && flags.output != "json" {
		return fmt.Errorf("--output: got %q, want text or json", flags.output)
	}
	review, err := flags.review()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	engine, err := flags.engine(ctx, stderr)
	if err != nil {
		return err
	}
	stop := progress(stderr)
	decision, tree, err := flags.decide(ctx, engine, review)
	if stop(); flags.recorded != nil {
		flags.recorded(stderr)
	}
	if err != nil {
		return err
	}
	if err := flags.print(stdout, decision, tree); err != nil {
		return err
	}
	if !decision.Allowed {
		return errDenied
	}
	return nil
}

// engine reads what the flags name and makes it ready to decide. What is worth
// knowing of it goes to stderr.
func (f *verifyFlags) engine(ctx context.Context, stderr io.Writer) (*rego.Engine, error) {
	w, err := wiring.New(f.Flags, "resolve", f.timeout)
	if err != nil {
		return nil, err
	}
	w.Explains = f.explain
	documents, err := w.Read(ctx)
	if err != nil {
		return nil, err
	}
	if err := wiring.Refresh(ctx, documents.Wanted(w.Root), f.timeout/2, "warning:", stderr); err != nil {
		return nil, err
	}
	set, err := w.Compile(ctx, documents)
	if err != nil {
		return nil, err
	}
	for _, warning := range slices.Concat(documents.Warnings, set.Warnings()) {
		fmt.Fprintln(stderr, "warning:", plain.Below(warning))
	}
	engine := rego.NewEngine(set, nil)
	if f.Record.Dir != "" {
		f.recorded = w.Sealer(version()).Keep(engine, f.Record.Dir)
	}
	return engine, nil
}

func (f *verifyFlags) review() ([]byte, error) {
	if f.resource == "" {
		if len(f.images) == 0 {
			return nil, errors.New("got no image, want at least one, or --resource")
		}
		return reviews.Pod(f.images)
	}
	manifest, err := sources.Read(f.resource, sources.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.resource, err)
	}
	review, err := reviews.Resource(manifest, f.images)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.resource, err)
	}
	return review, nil
}

func (f *verifyFlags) decide(ctx context.Context, engine *rego.Engine, review []byte) (d rego.Decision, tree rego.Explanation, err error) {
	if f.explain {
		return engine.Explain(ctx, review)
	}
	d, err = engine.Decide(ctx, review)
	return d, tree, err
}

func (f *verifyFlags) print(stdout io.Writer, decision rego.Decision, tree rego.Explanation) error {
	if f.output == "text" {
		if f.tersely {
			return why.Print(stdout, decision, tree)
		}
		if err := printDecision(stdout, decision); err != nil || !f.explain {
			return err
		}
		fmt.Fprintln(stdout)
		return why.Print(stdout, decision, tree)
	}
	var out any = decision
	if f.explain {
		out = why.Explained{Decision: decision, Explanation: tree}
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}
