package wiring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/cmd/assay/sources"
)

// mostTrustedRootBytes bounds a trusted_root.json; the public one has 10 KB.
const mostTrustedRootBytes = 4 << 20

// RootSource is where a trust root comes from: the default one, of authorities
// without trustRootRef, or that of a TrustRoot.
type RootSource interface {
	// Serving gives the root that serves now, or says why there is none.
	Serving() (root *trust.Root, cause string)
	// Refresh gets the root anew; it may take seconds.
	Refresh(ctx context.Context) error
}

// givenRoot is a trusted_root.json that was given by hand: it does not age.
type givenRoot struct{ root *trust.Root }

func fixedRoot(file string) (RootSource, error) {
	data, err := sources.Read(file, mostTrustedRootBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	root, err := trust.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return givenRoot{root}, nil
}

func (r givenRoot) Serving() (*trust.Root, string) { return r.root, "" }
func (r givenRoot) Refresh(context.Context) error  { return nil }

// repositoryRoot is refreshed from a TUF repository.
type repositoryRoot struct{ *tuf.Repository }

func (r repositoryRoot) Serving() (*trust.Root, string) { return r.Root() }

// TUFFlags say where the default root is refreshed from.
type TUFFlags struct {
	Mirror, Root, Cache string
	MaxStale            time.Duration
	// Every is how often a root is refreshed while serving. Zero is an hour.
	Every time.Duration
}

func (f *TUFFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Mirror, "tuf-mirror", "", "`URL` of the TUF repository of the default trust root (default public-good Sigstore)")
	flags.StringVar(&f.Root, "tuf-root", "", "root.json `file` that is trusted to begin with (default public-good Sigstore's)")
	flags.StringVar(&f.Cache, "tuf-cache", "", "`directory` of TUF metadata (default assay/tuf in the user's cache directory)")
	flags.DurationVar(&f.MaxStale, "trust-max-stale", 7*24*time.Hour, "how long the last good trust root serves while it cannot be refreshed")
}

func tufRoot(f TUFFlags) (RootSource, error) {
	options := tuf.Options{Mirror: f.Mirror, Cache: f.cacheDirectory(), MaxStale: f.MaxStale}
	if f.Root != "" {
		data, err := sources.Read(f.Root, mostTrustedRootBytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Root, err)
		}
		options.Root = data
	}
	repository, err := tuf.New(options)
	if err != nil {
		return nil, err
	}
	return repositoryRoot{repository}, nil
}

func (f TUFFlags) cacheDirectory() string {
	if f.Cache != "" {
		return f.Cache
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "assay", "tuf")
}
