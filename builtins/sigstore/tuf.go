package sigstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
)

// TUFOptions say where trust material is refreshed from.
type TUFOptions struct {
	// Mirror is the URL of the repository, the public-good one when empty.
	Mirror string
	// Root is the root.json that is trusted to begin with, the public-good one
	// when empty.
	Root []byte
	// Target is the name of the trusted root, trusted_root.json when empty.
	Target string
	// Cache is the directory of the cache. Required.
	Cache string
	// MaxStale is how long the last good root serves while it cannot be
	// refreshed. Zero is 7 days.
	MaxStale time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// The bounds of TUF. A refresh reads a handful of small files.
const (
	defaultMaxStale = 7 * 24 * time.Hour
	fetchTimeout    = 15 * time.Second
)

// TUF keeps the trusted root of a TUF repository. This file is the only one of
// the package that reaches the network, and it does so in [TUF.Refresh] alone,
// never on behalf of a request.
type TUF struct {
	options TUFOptions
	current atomic.Pointer[refreshed]
	failure atomic.Pointer[error]
}

type refreshed struct {
	root *Root
	at   time.Time
}

// NewTUF checks the options. The root is there after the first good [TUF.Refresh].
func NewTUF(options TUFOptions) (*TUF, error) {
	if options.Cache == "" {
		return nil, errors.New("TUF: got no cache directory")
	}
	if options.Mirror == "" {
		options.Mirror = tuf.DefaultMirror
	}
	if len(options.Root) == 0 {
		options.Root = tuf.DefaultRoot()
	}
	if options.Target == "" {
		options.Target = "trusted_root.json"
	}
	if options.MaxStale == 0 {
		options.MaxStale = defaultMaxStale
	}
	if options.MaxStale < 0 {
		return nil, fmt.Errorf("TUF: got a maximal staleness of %s, want at least 0", options.MaxStale)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &TUF{options: options}, nil
}

// Refresh fetches and verifies the repository's metadata and its trusted root.
// When the mirror cannot be used, metadata of the cache that has not expired
// serves instead, so that a restart survives an outage of the mirror. On failure
// the root that was there stays.
func (t *TUF) Refresh(ctx context.Context) error {
	root, err := t.fetch(ctx, false)
	if err != nil {
		var cached error
		if root, cached = t.fetch(ctx, true); cached != nil {
			err = fmt.Errorf("TUF repository %s: %w", t.options.Mirror, err)
			t.failure.Store(&err)
			return err
		}
	}
	t.current.Store(&refreshed{root: root, at: t.options.Now()})
	t.failure.Store(nil)
	return nil
}

func (t *TUF) fetch(ctx context.Context, fromCache bool) (*Root, error) {
	files := fetcher.NewDefaultFetcher()
	files.SetHTTPClient(&http.Client{Timeout: fetchTimeout})
	client, err := tuf.New(&tuf.Options{
		Root: t.options.Root, RepositoryBaseURL: t.options.Mirror, CachePath: t.options.Cache,
		ForceCache: fromCache, Fetcher: files, Context: ctx,
	})
	if err != nil {
		return nil, err
	}
	data, err := client.GetTarget(t.options.Target)
	if err != nil {
		return nil, err
	}
	return ParseTrustedRoot(data)
}

// Run refreshes at intervals until ctx ends. report is told of every attempt.
func (t *TUF) Run(ctx context.Context, every time.Duration, report func(error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			report(t.Refresh(ctx))
		}
	}
}

// Root gives the root that serves now, or says why there is none: it was never
// there, or it could not be refreshed for longer than is acceptable.
func (t *TUF) Root() (root *Root, cause string) {
	last := t.current.Load()
	if last == nil {
		if failure := t.failure.Load(); failure != nil {
			return nil, (*failure).Error()
		}
		return nil, fmt.Sprintf("TUF repository %s: not fetched yet", t.options.Mirror)
	}
	if age := t.options.Now().Sub(last.at); age > t.options.MaxStale {
		return nil, fmt.Sprintf("trusted root is stale: last verified at %s, want no longer ago than %s",
			last.at.UTC().Format(time.RFC3339), t.options.MaxStale)
	}
	return last.root, ""
}
