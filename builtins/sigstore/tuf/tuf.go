// Package tuf keeps the trusted root of a Sigstore TUF repository behind a URL, the
// default one or that of a TrustRoot: cached on disk, refreshed in the background,
// never on behalf of a request.
//
// It is the only part of the verification room that reaches the network.
package tuf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// Options say where trust material is refreshed from.
type Options struct {
	// Mirror is the URL of the repository, the public-good one when empty.
	Mirror string
	// Root is the root.json that is trusted to begin with, the public-good one
	// when empty.
	Root []byte
	// Targets is the directory of targets below the mirror, targets when empty.
	Targets string
	// Target is the name of the trusted root, trusted_root.json when empty.
	Target string
	// Cache is the directory of the cache. Required, but for who is Uncached.
	Cache string
	// Uncached reads the repository as if nobody had read it before, and writes nothing.
	Uncached bool
	// MaxStale is how long the last good root serves while it cannot be
	// refreshed. Zero is 7 days.
	MaxStale time.Duration
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// The bounds. A refresh reads a handful of small files.
const (
	defaultMaxStale = 7 * 24 * time.Hour
	refreshTimeout  = time.Minute
)

// Repository is a TUF repository and the trusted root that it last gave.
type Repository struct {
	options Options
	current atomic.Pointer[refreshed]
	failure atomic.Pointer[error]
}

// refreshed is a root, when its repository last said that it is the one, and when the first
// of the metadata that says so expires.
type refreshed struct {
	root    *trust.Root
	at      time.Time
	expires time.Time
}

// New checks the options. The root is there after the first [Repository.Refresh].
func New(options Options) (*Repository, error) {
	if options.Cache == "" && !options.Uncached {
		return nil, errors.New("TUF: got no cache directory")
	}
	if options.MaxStale < 0 {
		return nil, fmt.Errorf("TUF: got a maximal staleness of %s, want at least 0", options.MaxStale)
	}
	if options.Mirror == "" {
		options.Mirror = tuf.DefaultMirror
	}
	if len(options.Root) == 0 {
		options.Root = tuf.DefaultRoot()
	}
	options.Targets = cmp.Or(options.Targets, "targets")
	options.Target = cmp.Or(options.Target, "trusted_root.json")
	if options.MaxStale == 0 {
		options.MaxStale = defaultMaxStale
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Repository{options: options}, nil
}

// Refresh fetches and verifies the repository's metadata and its trusted root.
// An error says that this failed; the root that was there serves on, until it is
// too old. Where there is none yet, metadata of the cache that has not expired
// serves, as old as it is, so that a restart survives an outage of the mirror.
func (r *Repository) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	root, expires, err := r.fetch(ctx, false)
	if err == nil {
		r.current.Store(&refreshed{root, r.options.Now(), expires})
		r.failure.Store(nil)
		return nil
	}
	err = fmt.Errorf("TUF repository %s: %w", r.options.Mirror, err)
	r.failure.Store(&err)
	if r.current.Load() == nil && !r.options.Uncached {
		if root, expires, cached := r.fetch(ctx, true); cached == nil {
			r.current.Store(&refreshed{root, r.cachedAt(), expires})
		}
	}
	return err
}

// Age is when the repository was last read, and when the first of the metadata that was
// read then expires; zero times for never.
func (r *Repository) Age() (read, expires time.Time) {
	current := r.current.Load()
	if current == nil {
		return read, expires
	}
	return current.at, current.expires
}

// Failure is what the last refresh failed with, nil where it did not or there was none yet.
func (r *Repository) Failure() error {
	if failure := r.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

func (r *Repository) fetch(ctx context.Context, fromCache bool) (out *trust.Root, expires time.Time, err error) {
	defer func() { // what a library does with metadata that nobody has seen before
		if cause := recover(); cause != nil {
			out, expires, err = nil, time.Time{}, fmt.Errorf("reading it panicked: %.80v", cause)
		}
	}()
	client, err := r.client(ctx, fromCache)
	if err != nil {
		return nil, expires, err
	}
	if err := client.Refresh(); err != nil {
		return nil, expires, err
	}
	_, expires = trust.FirstExpiry(client)
	if out, err = trust.FromRepository(client, r.options.Target); err != nil || fromCache || r.options.Uncached {
		return out, expires, err
	}
	// A restart that does not find the time here takes the cache for too old, which
	// is no reason to do without the root now.
	_ = (&tuf.Config{LastTimestamp: r.options.Now()}).Persist(r.cache() + ".json")
	return out, expires, nil
}

// client reads the repository, or only what the cache has of it.
func (r *Repository) client(ctx context.Context, fromCache bool) (*updater.Updater, error) {
	settings, err := config.New(r.options.Mirror, r.options.Root)
	if err != nil {
		return nil, err
	}
	if settings.RemoteTargetsURL, err = url.JoinPath(r.options.Mirror, r.options.Targets); err != nil {
		return nil, err
	}
	settings.DisableLocalCache = r.options.Uncached
	settings.LocalMetadataDir, settings.LocalTargetsDir = r.cache(), filepath.Join(r.cache(), "targets")
	settings.UnsafeLocalMode = fromCache
	settings.Fetcher = fetcher(func(address string, most int64) ([]byte, error) {
		if fromCache {
			return nil, errors.New("not in the cache")
		}
		return download(ctx, address, most)
	})
	return updater.New(settings)
}

// nowhere is a directory that nobody can make: the updater looks for metadata in its own also
// where it writes none.
const nowhere = "/dev/null/none"

// cache is the directory of the repository's metadata.
func (r *Repository) cache() string {
	if r.options.Uncached {
		return nowhere
	}
	return filepath.Join(r.options.Cache, tuf.URLToPath(r.options.Mirror))
}

// CachedAt is when the cache of a repository was last refreshed, by whoever did; the zero time
// when it does not say.
func CachedAt(options Options) (time.Time, error) {
	r, err := New(options)
	if err != nil {
		return time.Time{}, err
	}
	return r.cachedAt(), nil
}

// cachedAt is when the cache was last refreshed, as it is noted there; the zero
// time, and so too old, when it does not say.
func (r *Repository) cachedAt() time.Time {
	noted, err := tuf.LoadConfig(r.cache() + ".json")
	if err != nil {
		return time.Time{}
	}
	return noted.LastTimestamp
}

// Root gives the root that serves now, or says why there is none: it was never
// there, or it could not be refreshed for longer than is acceptable.
func (r *Repository) Root() (root *trust.Root, cause string) {
	last := r.current.Load()
	if last == nil {
		if failure := r.failure.Load(); failure != nil {
			return nil, (*failure).Error()
		}
		return nil, fmt.Sprintf("TUF repository %s: not fetched yet", r.options.Mirror)
	}
	if age := r.options.Now().Sub(last.at); age > r.options.MaxStale {
		return nil, fmt.Sprintf("trusted root is stale: last verified at %s, want no longer ago than %s",
			last.at.UTC().Format(time.RFC3339), r.options.MaxStale)
	}
	return last.root, ""
}
