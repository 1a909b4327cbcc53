package opa

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/sources"
)

// live is the world as `assay verify` meets it by default. It is made when the
// first builtin asks, so that what asks nothing costs nothing.
type live struct {
	trustedRoot string

	once  sync.Once
	facts *builtins.Facts
}

// check refuses a trusted root that cannot be read, before anything is evaluated.
func (l *live) check() error {
	if l.trustedRoot == "" {
		return nil
	}
	_, err := l.givenRoot()
	return err
}

// metadata implements [builtins.Standalone]. Each call of a builtin has a session of
// its own; what was answered serves the next one from the facts.
func (l *live) metadata(ctx context.Context) map[string]any {
	l.once.Do(func() { l.facts = l.open(ctx) })
	if l.facts == nil {
		return nil
	}
	s := l.facts.Open(oci.LocalCredentials(), tenant.Workload{})
	s.Block()
	return s.Metadata(nil, nil, nil)
}

func (l *live) open(ctx context.Context) *builtins.Facts {
	// Whoever runs the command names the images, and with them the hosts.
	registry, err := oci.New(oci.WithPrivateRegistries())
	if err != nil {
		return nil
	}
	roots := l.roots(ctx)
	facts, err := builtins.New(registry, func() trust.Roots { return roots }, builtins.Options{})
	if err != nil {
		return nil
	}
	return facts
}

// roots are the default one, or the cause of its absence.
func (l *live) roots(ctx context.Context) trust.Roots {
	if l.trustedRoot != "" {
		root, err := l.givenRoot()
		return rootsOf(root, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	repository, err := tuf.New(tuf.Options{Cache: filepath.Join(cache, "assay", "tuf")})
	if err != nil {
		return rootsOf(nil, err)
	}
	err = repository.Refresh(ctx)
	root, cause := repository.Root()
	if root == nil && err == nil {
		err = fmt.Errorf("%s", cause)
	}
	return rootsOf(root, err)
}

func rootsOf(root *trust.Root, err error) trust.Roots {
	out := trust.Roots{Default: root}
	if root == nil && err != nil {
		out.DefaultCause = err.Error()
	}
	return out
}

// mostTrustedRootBytes bounds a trusted_root.json; the public one has 10 KB.
const mostTrustedRootBytes = 4 << 20

func (l *live) givenRoot() (*trust.Root, error) {
	data, err := sources.Read(l.trustedRoot, mostTrustedRootBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.trustedRoot, err)
	}
	root, err := trust.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.trustedRoot, err)
	}
	return root, nil
}
