package trusted

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/assay-dev/assay/cmd/assay/wiring"
)

const (
	// refreshTrust is how often the trust roots of the policy are asked for anew.
	refreshTrust = time.Hour
	// retryTrust is how soon that is done again where it failed, at the latest.
	retryTrust = 10 * time.Second
)

// Refresh gets the trust roots anew. An error says which of them has none that serves, or is as
// it was before.
func (p *Policy) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	wanted := p.documents.Wanted(p.wiring.Root)
	failed := wiring.RefreshAll(ctx, wanted)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		about := "TrustRoot " + name
		if name == "" {
			about = "the default root"
		}
		switch root, cause := wanted[name].Serving(); {
		case failed[name] != nil:
			errs = append(errs, fmt.Errorf("%s: %w", about, failed[name]))
		case root == nil:
			errs = append(errs, fmt.Errorf("%s: %s", about, cmp.Or(cause, "there is none")))
		}
	}
	return errors.Join(errs...)
}

// rootless counts the trust roots that do not serve.
func (p *Policy) rootless() (count int) {
	for _, source := range p.documents.Wanted(p.wiring.Root) {
		if root, _ := source.Serving(); root == nil {
			count++
		}
	}
	return count
}

// KeepFresh has the trust roots refreshed until ctx ends: soon again where that failed, or else
// nothing would be active for an hour because a mirror was down when a process began. Of many
// who want it one does it.
func (p *Policy) KeepFresh(ctx context.Context, log *slog.Logger) {
	select {
	case p.refreshing <- struct{}{}:
		defer func() { <-p.refreshing }()
	case <-ctx.Done():
		return
	}
	failures := 0
	for {
		if p.stale != nil {
			failures++
		} else {
			failures = 0
		}
		timer := time.NewTimer(refreshing(failures))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		before, rootless := p.stale, p.rootless()
		err := p.Refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		p.stale = err
		switch {
		case err == nil && before != nil:
			log.Info("trust roots of bundles are fresh again")
		case err != nil && (failures == 1 || before == nil || err.Error() != before.Error()):
			log.Error("trust roots of bundles not refreshed", "error", err)
		}
		if p.rootless() < rootless {
			p.rooted.ring()
		}
	}
}

// refreshing is how long to wait after so many failures in a row. No two wait the same.
func refreshing(failures int) time.Duration {
	if failures > 0 {
		return Polling{Max: retryTrust}.delay(failures)
	}
	return Polling{Min: refreshTrust, Max: refreshTrust + refreshTrust/10}.delay(0)
}

// bell tells all who wait for something that it is so.
type bell struct {
	mu   sync.Mutex
	rung chan struct{} // closed when it is rung; nil is nobody who waits
}

// next is closed when it is rung next.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
