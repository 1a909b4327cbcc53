package trusted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/bundle/redact"
)

// Sources are the sources of a configuration of OPA. Those that are registries are fetched here:
// OPA's own downloader of registries has no way to ask who signed.
type Sources struct {
	Policy *Policy
	Floors *fresh.Floors
	// Minimum is the lowest revision by bundle; none is any.
	Minimum map[string]string
	// Own is the directory that is kept across restarts.
	Own string
	Log *slog.Logger

	mu      sync.Mutex      // held over neither the network nor the disk: probes wait for it
	ctx     context.Context // of what runs; nil before
	work    sync.WaitGroup
	sources map[string]*source
	ended   map[string]<-chan struct{} // of who asked last for a bundle, by its name
}

// source is one bundle of a registry.
type source struct {
	*Fetcher
	of   configured.Source
	stop context.CancelFunc // nil as long as it is not asked for

	mu        sync.Mutex // held over neither
	active    string     // the digest of what is active
	confirmed time.Time  // when the registry last answered with what serves, or with better
	failure   error      // of the latest fetch
}

// See takes the sources of a configuration, and gives what bundles come from in place of
// registries. It refuses what nobody would vouch for. Nothing that runs is changed until apply is
// called, which it need not be: OPA may refuse the rest. What was kept of new sources is verified here.
func (s *Sources) See(all []configured.Source) (feeds map[string]bundle.Feed, apply func(), err error) {
	s.mu.Lock()
	before := s.sources // which is replaced, and never changed
	s.mu.Unlock()
	feeds = map[string]bundle.Feed{}
	next := map[string]*source{}
	for _, of := range all {
		if !of.OCI || of.Discovery {
			if err := signed(of); err != nil {
				return nil, nil, err
			}
			continue
		}
		at, known := before[of.Name]
		if !known || at.of != of {
			if at, err = s.source(of); err != nil {
				return nil, nil, err
			}
		}
		feeds[of.Name], next[of.Name] = at.Fetcher, at
	}
	return feeds, func() { s.apply(next) }, nil
}

// source is a new one, with what was kept of it.
func (s *Sources) source(of configured.Source) (*source, error) {
	if !named().MatchString(of.Name) {
		return nil, fmt.Errorf("bundles.%s: want a name of letters, digits, dots, dashes and underscores that begins with none of the latter three: a directory has it", of.Name)
	}
	fetcher, err := NewFetcher(Options{
		Name: of.Name, Ref: of.Resource, Dir: filepath.Join(s.Own, "bundles", of.Name), Policy: s.Policy,
		Floors: s.Floors, Minimum: s.Minimum[of.Name], Log: s.Log,
	})
	if err != nil {
		return nil, err
	}
	at := &source{Fetcher: fetcher, of: of}
	s.restore(at)
	return at, nil
}

// apply has these sources be asked for, and no other.
func (s *Sources) apply(next map[string]*source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, before := range s.sources {
		if next[name] != before && before.stop != nil {
			before.stop()
			before.stop = nil
		}
	}
	s.sources = next
	s.begin()
}

// named are names that directories may have.
func named() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`) }

// signed wants a bundle that is not from a registry to have a signature of OPA's over all
// of its files.
func signed(of configured.Source) error {
	switch {
	case of.Discovery && of.OCI:
		return errors.New("discovery: got a service of type oci, want another with --bundle-trust: who signed an image is asked of bundles alone")
	case !of.Signed:
		return fmt.Errorf("bundles.%s: got no signing, want it, or a service of type oci: with --bundle-trust nothing is active that nobody signed", of.Name)
	case of.KeyID == "":
		return fmt.Errorf("bundles.%s.signing.keyid: got none, want the key with --bundle-trust: without it a bundle names the key that it is verified with", of.Name)
	case of.Brought:
		return fmt.Errorf("bundles.%s.signing.keyid: got %q, which was discovered, want a key of the configuration file with --bundle-trust: whoever writes the discovery bundle would vouch for all others", of.Name, of.KeyID)
	case of.Loose != "":
		return fmt.Errorf("bundles.%s.signing.%s: want none of it with --bundle-trust: what nobody signed would be active", of.Name, of.Loose)
	}
	return nil
}

// restore verifies what was kept. What does not hold is not given to OPA.
func (s *Sources) restore(at *source) {
	if _, err := at.Restore(context.Background()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Log.Error("a bundle that was kept is not used", "error", err)
	}
}

// Run fetches, and keeps the trust roots of the policy fresh, until ctx ends.
func (s *Sources) Run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.begin() //nolint:contextcheck // what runs has its own
	s.mu.Unlock()
	s.Policy.KeepFresh(ctx, s.Log)
	s.mu.Lock()
	s.ctx = nil // nothing is begun while its end is waited for
	s.mu.Unlock()
	s.work.Wait()
}

// begin has each source fetched that is not yet. One that takes the place of another has its
// directory, and waits until nobody writes there any more.
func (s *Sources) begin() {
	if s.ctx == nil || s.ctx.Err() != nil {
		return
	}
	if s.ended == nil {
		s.ended = map[string]<-chan struct{}{}
	}
	for name, at := range s.sources {
		if at.stop != nil {
			continue
		}
		var ctx context.Context
		ctx, at.stop = context.WithCancel(s.ctx)
		before, done := s.ended[name], make(chan struct{})
		s.ended[name] = done
		s.work.Go(func() {
			defer close(done)
			if before != nil {
				<-before
			}
			at.Poll(ctx, polling(at.of), func(_ Result, err error) error { return s.fetched(at, err) })
		})
	}
}

// polling is OPA's, with its defaults.
func polling(of configured.Source) Polling {
	out := Polling{Min: time.Minute, Max: 2 * time.Minute}
	if of.MinDelay > 0 {
		out.Min = time.Duration(of.MinDelay) * time.Second
	}
	if of.MaxDelay > 0 {
		out.Max = time.Duration(of.MaxDelay) * time.Second
	}
	return out
}

// fetched notes what became of a fetch.
func (s *Sources) fetched(at *source, err error) error {
	if err == nil {
		at.mu.Lock()
		active := at.active
		at.mu.Unlock()
		err = at.Keep(active) // where it could not be kept before
	}
	at.mu.Lock()
	before := at.failure
	if at.failure = err; err == nil {
		at.confirmed = time.Now()
	}
	at.mu.Unlock()
	switch { // each poll has the same cause, and is no news
	case err != nil && (before == nil || before.Error() != err.Error()):
		s.Log.Error("bundle", "bundle", at.of.Name, "error", redact.Text(err.Error()))
	case err == nil && before != nil:
		s.Log.Info("bundle works again", "bundle", at.of.Name)
	}
	return err
}

// Active says which bundles are active, by name and digest: those a restart is to find.
func (s *Sources) Active(digests map[string]string) {
	s.mu.Lock()
	sources := s.sources
	s.mu.Unlock()
	for name, at := range sources {
		at.mu.Lock()
		at.active = digests[name]
		at.mu.Unlock()
		if err := at.Keep(digests[name]); err != nil {
			s.Log.Error("bundle", "bundle", name, "error", err)
			at.mu.Lock()
			at.failure = err
			at.mu.Unlock()
		}
	}
}

// Fetches says whether a bundle is fetched from a registry: the tag of its content is then the
// digest of its manifest.
func (s *Sources) Fetches(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[name] != nil
}

// Tell puts what fetching knows into the statuses that OPA has of files.
func (s *Sources) Tell(statuses map[string]bundle.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.sources)) {
		at, status := s.sources[name], statuses[name]
		at.mu.Lock()
		status.Confirmed = at.confirmed
		if at.failure != nil {
			status.Error = redact.Text(at.failure.Error())
		}
		at.mu.Unlock()
		statuses[name] = status
	}
}
