package main

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

// rootSource is where a trust root comes from: the default one, of authorities
// without trustRootRef, or that of a TrustRoot.
type rootSource interface {
	// serving gives the root that serves now, or says why there is none.
	serving() (root *trust.Root, cause string)
	// refresh gets the root anew; it may take seconds.
	refresh(ctx context.Context) error
}

// givenRoot is a trusted_root.json that was given by hand: it does not age.
type givenRoot struct{ root *trust.Root }

func fixedRoot(file string) (rootSource, error) {
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

func (r givenRoot) serving() (*trust.Root, string) { return r.root, "" }
func (r givenRoot) refresh(context.Context) error  { return nil }

// repositoryRoot is refreshed from a TUF repository.
type repositoryRoot struct{ *tuf.Repository }

func (r repositoryRoot) serving() (*trust.Root, string)    { return r.Root() }
func (r repositoryRoot) refresh(ctx context.Context) error { return r.Refresh(ctx) }

// tufFlags say where the default root is refreshed from.
type tufFlags struct {
	mirror, root, cache string
	maxStale            time.Duration
}

func (f *tufFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.mirror, "tuf-mirror", "", "`URL` of the TUF repository of the default trust root (default public-good Sigstore)")
	flags.StringVar(&f.root, "tuf-root", "", "root.json `file` that is trusted to begin with (default public-good Sigstore's)")
	flags.StringVar(&f.cache, "tuf-cache", "", "`directory` of TUF metadata (default assay/tuf in the user's cache directory)")
	flags.DurationVar(&f.maxStale, "trust-max-stale", 7*24*time.Hour, "how long the last good trust root serves while it cannot be refreshed")
}

func tufRoot(f tufFlags) (rootSource, error) {
	options := tuf.Options{Mirror: f.mirror, Cache: f.cacheDirectory(), MaxStale: f.maxStale}
	if f.root != "" {
		data, err := sources.Read(f.root, mostTrustedRootBytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.root, err)
		}
		options.Root = data
	}
	repository, err := tuf.New(options)
	if err != nil {
		return nil, err
	}
	return repositoryRoot{repository}, nil
}

func (f tufFlags) cacheDirectory() string {
	if f.cache != "" {
		return f.cache
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "assay", "tuf")
}
