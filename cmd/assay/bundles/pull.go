package bundles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// pulling are the flags of pull.
type pulling struct {
	wiring.Flags
	output  string
	timeout time.Duration
}

func pullCommand() *cobra.Command {
	var p pulling
	cmd := &cobra.Command{
		Use:   "pull REGISTRY/REPOSITORY[:TAG|@DIGEST] -o FILE",
		Short: "Pull a policy bundle from a registry",
		Long: "Pull writes the bundle that a registry has to a file, and prints its name by digest. What the digests\n" +
			"say is checked, and that serve would read it. Who signed it is not: verify-bundle says that.",
		Example: "  assay pull ghcr.io/acme/policies:prod -o bundle.tar.gz",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pulled, err := p.pull(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := save(p.output, pulled.Bundle); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), pulled.Ref)
			return err
		},
	}
	p.AddRegistry(cmd, true) // who runs it names the host
	cmd.Flags().StringVarP(&p.output, "output", "o", "", "`file` to write, in the place of what is there")
	cmd.Flags().DurationVar(&p.timeout, "timeout", transfer, "deadline")
	return cmd
}

func (p *pulling) pull(ctx context.Context, ref string) (artifact.Pulled, error) {
	if p.output == "" {
		return artifact.Pulled{}, errors.New("--output: got none, want the file to write")
	}
	way, client, err := p.Way(transfer)
	if err != nil {
		return artifact.Pulled{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	pulled, err := artifact.Pull(ctx, client, way.Credentials, ref, archive.Defaults().Compressed)
	if err == nil {
		_, err = whole(pulled.Ref, pulled.Bundle)
	}
	return pulled, err
}
