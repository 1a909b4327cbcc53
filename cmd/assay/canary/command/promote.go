package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// ErrNotPromoted is that a rule does not let a candidate serve.
var ErrNotPromoted = errors.New("the candidate is not promoted")

type promotion struct {
	registry wiring.Flags
	from     reports
	reports  []string
	rule     canary.Rule
}

// Promote is assay promote.
func Promote() *cobra.Command {
	var p promotion
	cmd := &cobra.Command{
		Use:   "promote CANDIDATE-REF LIVE-REF",
		Short: "Let a candidate serve: give its bundle the tag that is served",
		Long: "Promote gives the bundle that CANDIDATE-REF names the tag of LIVE-REF, in the same repository: the bytes, the\n" +
			"digest and the signatures stay. With --report it does so if the reports are about that bundle and satisfy the\n" +
			"rule.\n\n" +
			"Exit code 0: it is promoted; 1: the rule says no, and why is printed; 2: it could not be done.",
		Example: "  assay promote ghcr.io/acme/policies:candidate ghcr.io/acme/policies:live\n" +
			"  assay promote --report https://10.0.3.7:8443/canary --server-name webhook.cosign-system.svc --ca ca.crt \\\n" +
			"    --token-file token --min-decisions 5000 \\\n" +
			"    ghcr.io/acme/policies:candidate ghcr.io/acme/policies:live",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range canary.RuleFlags() {
				if len(p.reports) == 0 && cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s: got it without --report, want the report that it is about", name)
				}
			}
			return p.run(cmd, args[0], args[1])
		},
	}
	p.registry.AddRegistry(cmd, true)
	cmd.Flags().StringArrayVar(&p.reports, "report", nil, "`URL` or file of a report that has to satisfy the rule (repeatable, one for each replica)")
	p.from.add(cmd)
	p.rule.Add(cmd)
	return cmd
}

func (p *promotion) run(cmd *cobra.Command, candidate, live string) error {
	way, client, err := p.registry.Way(p.from.timeout)
	if err != nil {
		return err
	}
	ref, err := p.resolved(cmd.Context(), client, way.Credentials, candidate)
	if err != nil {
		return err
	}
	why := "by hand"
	if len(p.reports) > 0 {
		report, err := together(cmd, &p.from, p.reports)
		if err != nil {
			return err
		}
		if why := unnamed(report, ref); why != "" {
			return refused(cmd.OutOrStdout(), why)
		}
		verdict, because := report.Verdict(p.rule)
		if why = fmt.Sprintf("%s: %s", verdict, because); verdict != canary.Promote {
			return refused(cmd.OutOrStdout(), why)
		}
		other, err := p.other(cmd.Context(), client, way.Credentials, report, ref)
		if err != nil {
			return err
		}
		if other != "" {
			return refused(cmd.OutOrStdout(), other)
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), p.from.timeout)
	defer cancel()
	if err := artifact.Tag(ctx, way, ref.Name, live); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "promoted %s to %s (%s)\n", ref.Name, plain.Line(live), plain.Line(why))
	return err
}

// resolved is the candidate by digest: all that follows is about that, whatever the tag
// names a moment later.
func (p *promotion) resolved(ctx context.Context, client *oci.Client, credentials oci.Credentials, candidate string) (oci.Reference, error) {
	ref, err := oci.Parse(candidate)
	if err != nil {
		return ref, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.from.timeout)
	defer cancel()
	digest, err := client.Resolve(ctx, credentials, candidate)
	if err != nil {
		return ref, err
	}
	return oci.Parse(ref.Registry + "/" + ref.Repository + "@" + digest)
}

const another = "the reports are about another bundle: "

// unnamed says why reports are not about the bundle of a digest, as far as they say digests; ""
// where they may be.
func unnamed(report canary.Report, ref oci.Reference) string {
	switch {
	case report.Digest == "" && report.Content == "":
		return "the reports do not say what the bundle is: got neither digest nor content; assay build writes the latter into its metadata"
	case report.Digest != "" && report.Digest != ref.Digest:
		return fmt.Sprintf(another+"got digest %s, want %s", report.Digest, ref.Digest)
	}
	return ""
}

// other reads the bundle, and says why reports are about another one: its revision is another, or
// its content, where reports say that. A digest does not vouch for the rest of a report.
func (p *promotion) other(ctx context.Context, client *oci.Client, credentials oci.Credentials, report canary.Report, ref oci.Reference) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.from.timeout)
	defer cancel()
	pulled, err := artifact.Pull(ctx, client, credentials, ref.Name, artifact.MaxBytes)
	if err != nil {
		return "", err
	}
	bundle, err := archive.Read(pulled.Bundle, archive.Limits{})
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref.Name, err)
	}
	switch set, revision := bundle.Set(), bundle.Manifest.Revision; {
	case report.Content != "" && report.Content != set:
		return fmt.Sprintf(another+"got content %s, want %s", report.Content, set), nil
	case report.Revision != revision:
		return fmt.Sprintf(another+"got revision %q, want %q", report.Revision, revision), nil
	}
	return "", nil
}

func refused(out io.Writer, why string) error {
	if _, err := fmt.Fprintf(out, "not promoted: %s\n", plain.Line(why)); err != nil {
		return err
	}
	return ErrNotPromoted
}
