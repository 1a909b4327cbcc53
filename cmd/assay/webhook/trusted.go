package webhook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/assay-dev/assay/cmd/assay/trusted"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

// bootstrap is who may sign bundles, and those of registries, which are fetched here: OPA's own
// downloader of registries has no way to ask.
type bootstrap struct {
	policy  *trusted.Policy
	floors  *fresh.Floors
	minimum map[string]string
	own     string // the directory that is kept across restarts
	log     *slog.Logger
	// load has OPA load the file of a bundle, and says what became of that.
	load func(ctx context.Context, name string) error

	mu      sync.Mutex
	ctx     context.Context // of what runs; nil before
	work    sync.WaitGroup
	sources map[string]*source
}

// bootstrap reads who may sign.
func (b *bundles) bootstrap(ctx context.Context, flags wiring.Flags, log *slog.Logger) (*bootstrap, error) {
	policy, err := trusted.NewPolicy(ctx, flags, b.flags.trust)
	if err != nil {
		return nil, err
	}
	for _, warning := range policy.Warnings() {
		log.Warn("bundle trust", "warning", warning)
	}
	return &bootstrap{
		policy: policy, floors: b.floors, minimum: b.flags.minimum, own: b.own, log: log, sources: map[string]*source{},
		load: func(ctx context.Context, name string) error { return b.manager.Load(ctx, name) },
	}, nil
}

// source is one bundle of a registry.
type source struct {
	*trusted.Fetcher
	of   bundle.Source
	stop context.CancelFunc // nil as long as it is not asked for

	mu        sync.Mutex
	confirmed time.Time // when the registry last answered with what serves, or with better
	failure   error     // of the latest fetch
}

// see takes the sources of a configuration, and gives the files that OPA is to load in place of
// registries. It refuses what nobody would vouch for.
func (b *bootstrap) see(all []bundle.Source) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	files, next := map[string]string{}, map[string]*source{}
	for _, of := range all {
		if !of.OCI || of.Discovery {
			if err := vouched(of); err != nil {
				return nil, err
			}
			continue
		}
		at, known := b.sources[of.Name]
		if !known || at.of != of {
			fetcher, err := trusted.NewFetcher(trusted.Options{
				Name: of.Name, Ref: of.Resource, Dir: filepath.Join(b.own, "bundles", of.Name), Policy: b.policy,
				Floors: b.floors, Minimum: b.minimum[of.Name], Log: b.log,
			})
			if err != nil {
				return nil, err
			}
			at = &source{Fetcher: fetcher, of: of}
			b.restore(at)
		}
		files[of.Name], next[of.Name] = at.File(), at
	}
	for name, before := range b.sources {
		if next[name] != before && before.stop != nil {
			before.stop()
		}
	}
	b.sources = next
	b.begin()
	return files, nil
}

// vouched wants a bundle that is not from a registry to have a signature of OPA's over all
// of its files.
func vouched(of bundle.Source) error {
	switch {
	case of.Discovery && of.OCI:
		return errors.New("discovery: got a service of type oci, want another with --bundle-trust: it is OPA's own downloader that would fetch it")
	case !of.Signed:
		return fmt.Errorf("bundles.%s: got no signing, want it, or a service of type oci: with --bundle-trust nothing is active that nobody signed", of.Name)
	case of.Loose != "":
		return fmt.Errorf("bundles.%s.signing.%s: want none of it with --bundle-trust: what nobody signed would be active", of.Name, of.Loose)
	}
	return nil
}

// restore verifies what was kept. What does not hold is not given to OPA.
func (b *bootstrap) restore(at *source) {
	if _, err := at.Restore(context.Background()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.Error("a bundle that was kept is not used", "error", err)
	}
}

// run fetches until ctx ends.
func (b *bootstrap) run(ctx context.Context) {
	b.mu.Lock()
	b.ctx = ctx
	b.begin()
	b.mu.Unlock()
	<-ctx.Done()
	b.work.Wait()
}

// begin has each source fetched that is not yet.
func (b *bootstrap) begin() {
	if b.ctx == nil || b.ctx.Err() != nil {
		return
	}
	for _, at := range b.sources {
		if at.stop != nil {
			continue
		}
		var ctx context.Context
		ctx, at.stop = context.WithCancel(b.ctx)
		b.work.Go(func() {
			at.Poll(ctx, polling(at.of), func(result trusted.Result, err error) error { return b.fetched(ctx, at, result, err) })
		})
	}
}

// polling is OPA's, with its defaults.
func polling(of bundle.Source) trusted.Polling {
	out := trusted.Polling{Min: time.Minute, Max: 2 * time.Minute}
	if of.MinDelay > 0 {
		out.Min = time.Duration(of.MinDelay) * time.Second
	}
	if of.MaxDelay > 0 {
		out.Max = time.Duration(of.MaxDelay) * time.Second
	}
	return out
}

// fetched has a bundle activated that is another than before. Only one that is active is kept
// for a restart, and one that is refused is asked for again.
func (b *bootstrap) fetched(ctx context.Context, at *source, result trusted.Result, err error) error {
	if err == nil && result.Changed {
		if err = b.load(ctx, at.of.Name); err == nil {
			err = at.Keep()
		} else {
			err = errors.Join(err, at.Undo())
		}
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.failure = err; err == nil {
		at.confirmed = time.Now()
	} else {
		b.log.Error("bundle", "bundle", at.of.Name, "error", err)
	}
	return err
}

// tell puts what fetching knows into the statuses that OPA has of files.
func (b *bootstrap) tell(statuses map[string]bundle.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.sources)) {
		at, status := b.sources[name], statuses[name]
		at.mu.Lock()
		status.Confirmed = at.confirmed
		if at.failure != nil {
			status.Error = at.failure.Error()
		}
		at.mu.Unlock()
		statuses[name] = status
	}
}
