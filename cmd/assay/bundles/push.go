package bundles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// transfer bounds what one question to a registry takes, and what moving a bundle takes
// unless it is said otherwise.
const transfer = 2 * time.Minute

// pushing are the flags of push.
type pushing struct {
	wiring.Flags
	timeout time.Duration
}

func pushCommand() *cobra.Command {
	var p pushing
	cmd := &cobra.Command{
		Use:   "push BUNDLE|OCI-LAYOUT REGISTRY/REPOSITORY:TAG",
		Short: "Push a policy bundle to a registry",
		Long: "Push writes a bundle to a registry as an image with one layer, which OPA's own downloader finds too,\n" +
			"and prints its name by digest. That is what cosign signs: until it is signed, nothing says whose it is.\n" +
			"What serve would not read is not pushed. Credentials are those of the docker configuration.",
		Example: "  assay push bundle.tar.gz ghcr.io/acme/policies:prod\n" +
			"  cosign sign --yes \"$(assay push bundle.tar.gz ghcr.io/acme/policies:prod)\"",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := p.push(cmd.Context(), args[0], args[1])
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), at)
			}
			return err
		},
	}
	p.AddRegistry(cmd, true) // who runs it names the host
	cmd.Flags().DurationVar(&p.timeout, "timeout", transfer, "deadline")
	return cmd
}

// push pushes the image of a bundle in a file, or the one of an OCI layout as it is.
func (p *pushing) push(ctx context.Context, path, ref string) (string, error) {
	data, err := Load(path)
	if err != nil {
		return "", err
	}
	read, err := whole(path, data)
	if err != nil {
		return "", err
	}
	image, err := artifact.Image(data, read.Manifest.Revision)
	if info, stat := os.Stat(path); err == nil && stat == nil && info.IsDir() {
		image, _, err = artifact.ReadLayout(path, archive.Defaults().Compressed)
	}
	if err != nil {
		return "", err
	}
	way, _, err := p.Way(transfer)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return artifact.Push(ctx, way, ref, image)
}

// whole reads a bundle that is not a delta: what one makes of another bundle is signed by nobody.
func whole(name string, data []byte) (*archive.Archive, error) {
	read, err := archive.Read(data, archive.Limits{})
	if err == nil && read.Delta {
		err = errors.New("got a delta, want a whole bundle")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return read, nil
}
