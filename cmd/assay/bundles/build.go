package bundles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

// building are the flags of build.
type building struct {
	output, name, revision, expires, format string
	noTests                                 bool
	rules                                   rules
}

func buildCommand(o Options) *cobra.Command {
	var b building
	cmd := &cobra.Command{
		Use:   "build FILE|DIR...",
		Short: "Build a policy bundle that assay and OPA load",
		Long: "Build makes an OPA bundle of policies: ClusterImagePolicies and what belongs to them, policies in Rego with\n" +
			"their tests, and data documents. The policies are compiled first, as serve would compile them, and what\n" +
			"would fail there is refused. The same files are the same bundle, to the byte.\n\n" +
			"What a policy refers to and does not bring along is looked up where the bundle serves. Secrets are refused.",
		Example: "  assay build policies/ --revision 42 -o bundle.tar.gz\n" +
			"  assay build policies/ --name policies --revision 2026.11.26.1 --expires 720h --format oci -o bundle/",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("got no file, want at least one: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			made, warnings, err := b.make(cmd.Context(), args, "assay "+o.Version, time.Now())
			warn(cmd.ErrOrStderr(), warnings)
			if err != nil {
				return err
			}
			report, err := b.write(made)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), report)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&b.output, "output", "o", "", "`path` of the bundle: a file, or with --format oci a directory (default bundle.tar.gz, or bundle)")
	flags.StringVar(&b.name, "name", "", "`name` that the bundle has in configurations: under another it is refused")
	flags.StringVar(&b.revision, "revision", "", "revision, such as 42 or 2026.11.26.1: what is later is higher")
	flags.StringVar(&b.expires, "expires", "", "`time` from which the bundle denies: as RFC 3339 has it, or in so long, such as 720h")
	flags.StringVar(&b.format, "format", "tar.gz", "tar.gz, or oci for a directory that is an OCI image layout")
	flags.BoolVar(&b.noTests, "no-tests", false, "leave Rego tests out")
	b.rules.add(cmd)
	return cmd
}

// add adds the flags that serve has too.
func (r *rules) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&r.sources, "image-policy-source", nil, "`repository`, or registry, in which an ImagePolicy may have signatures looked for where the bundle serves (repeatable)")
	r.rego.Add(cmd)
}

func (b *building) check() error {
	switch {
	case b.revision == "":
		return errors.New("--revision: got none, want one such as 42 or 2026.11.26.1")
	case b.format != "tar.gz" && b.format != "oci":
		return fmt.Errorf("--format: got %q, want tar.gz or oci", b.format)
	}
	if b.output == "" {
		b.output = map[string]string{"tar.gz": "bundle.tar.gz", "oci": "bundle"}[b.format]
	}
	return b.rules.rego.Check()
}

// until is the time that --expires says, whole seconds of UTC: it is text in a bundle.
func until(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	out, err := time.Parse(time.RFC3339, text)
	if err != nil {
		within, notEither := time.ParseDuration(text)
		if notEither != nil {
			return out, fmt.Errorf("--expires: got %q, want a time such as 2027-01-31T00:00:00Z or a duration such as 720h", text)
		}
		out = now.Add(within)
	}
	if out = out.UTC().Truncate(time.Second); !out.After(now) {
		return out, fmt.Errorf("--expires: got %s, want a time to come", out.Format(time.RFC3339))
	}
	return out, nil
}

// make reads and checks what the paths stand for, and makes a bundle of it.
func (b *building) make(ctx context.Context, paths []string, program string, now time.Time) (*archive.Archive, []string, error) {
	expires, err := until(b.expires, now)
	if err != nil {
		return nil, nil, err
	}
	passed, err := check(ctx, paths, b.rules)
	if err != nil {
		return nil, nil, err
	}
	warnings := passed.warnings
	if _, err := fresh.Compare(b.revision, b.revision); err != nil {
		warnings = append(warnings, fmt.Sprintf("--revision: %s: a trust policy refuses the bundle", err))
	}
	found, err := gather(paths, !b.noTests, b.rules.rego.V0())
	if err != nil {
		return nil, warnings, err
	}
	if err := errors.Join(checkRoots(found.trust), b.rules.permitted(found, b.rules.rego.V0())); err != nil {
		return nil, warnings, err
	}
	manifest := bundle.Manifest{Revision: b.revision, Roots: &found.roots, RegoVersion: new(1)}
	if len(found.versions) > 0 {
		manifest.FileRegoVersions = found.versions
	}
	return &archive.Archive{
		Manifest: manifest, Files: found.files,
		About: archive.About{Format: archive.Format, Name: b.name, Expires: expires, BuiltBy: program, Requires: archive.Requires{Builtins: passed.builtins}},
	}, warnings, nil
}

// write writes the bundle, and says what it is.
func (b *building) write(made *archive.Archive) (string, error) {
	var file bytes.Buffer
	if err := archive.Write(&file, made); err != nil {
		return "", err
	}
	if _, err := archive.Read(file.Bytes(), archive.Limits{}); err != nil { // its bounds, too
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s: revision %s\n", plain.Line(b.output), made.Manifest.Revision)
	fmt.Fprintf(&out, "set     %s\n", made.Set())
	fmt.Fprintf(&out, "digest  sha256:%x\n", sha256.Sum256(file.Bytes()))
	if b.format == "oci" {
		image, err := artifact.Image(file.Bytes(), made.Manifest.Revision)
		if err != nil {
			return "", err
		}
		digest, err := image.Digest()
		if err != nil {
			return "", err
		}
		if err := artifact.WriteLayout(b.output, image); err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "image   %s\n", digest)
	} else if err := save(b.output, file.Bytes()); err != nil {
		return "", err
	}
	for _, root := range *made.Manifest.Roots {
		fmt.Fprintf(&out, "root    %s\n", plain.Line(root))
	}
	return out.String(), nil
}
