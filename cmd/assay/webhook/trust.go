package webhook

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// refreshTrust is how often a trust root is refreshed unless --trust-refresh says something else.
// Sigstore's timestamp metadata is renewed every few days.
const refreshTrust = time.Hour

// retryTrust is how soon it is tried again when that failed, at the latest.
const retryTrust = 10 * time.Second

// checkRefresh refuses what would ask a mirror all the time.
func checkRefresh(every time.Duration) error {
	if every != 0 && every < time.Second {
		return fmt.Errorf("--trust-refresh: got %s, want at least 1s", every)
	}
	return nil
}

// keepTrust gets the roots that policies rely on and keeps them fresh, away from any
// request.
func (r *reloader) keepTrust(ctx context.Context) {
	due := map[wiring.RootSource]time.Time{}
	for ctx.Err() == nil {
		next := r.refreshDue(ctx, due)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-time.After(time.Until(next)):
		}
	}
}

// refreshDue refreshes what is due and says when something is again.
func (r *reloader) refreshDue(ctx context.Context, due map[wiring.RootSource]time.Time) (next time.Time) {
	r.mu.Lock()
	wanted := maps.Clone(r.roots)
	r.mu.Unlock()
	every := cmp.Or(r.wiring.Flags.TUF.Every, refreshTrust)
	now := map[string]wiring.RootSource{}
	for name, source := range wanted {
		if time.Now().After(due[source]) {
			now[name] = source
		}
	}
	failed := wiring.RefreshAll(ctx, now)
	for name, source := range now {
		err := failed[name]
		if due[source] = time.Now().Add(every); err != nil {
			due[source] = time.Now().Add(min(every, retryTrust))
			r.log.Error("trust root not refreshed", "error", err, "trustRoot", cmp.Or(name, "(default)"))
		}
		if name == "" {
			r.metrics.TrustRefreshed(time.Now(), err)
		}
	}
	r.retell()
	next = time.Now().Add(every)
	for source, at := range due {
		if !slices.Contains(slices.Collect(maps.Values(wanted)), source) {
			delete(due, source) // no policy relies on it any more
		} else if at.Before(next) {
			next = at
		}
	}
	return next
}

// retell says in the cluster what became of trust roots: a mirror that is down, or back, is no
// change of any object.
func (r *reloader) retell() {
	if r.cluster == nil {
		return
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if objects := r.cluster.watcher.Objects(); r.isLoaded() && objects.Revision == r.revision {
		r.tell(objects)
	}
}

// rootNotes say which roots policies rely on in vain, and which are older than they should be.
// A TrustRoot that is not there denies what refers to it and stops nothing else. It requires the lock.
func (r *reloader) rootNotes() (notes []string) {
	for _, name := range slices.Sorted(maps.Keys(r.roots)) {
		source, title := r.roots[name], "TrustRoot "+name
		if name == "" {
			title = "the default root"
		}
		root, cause := source.Serving()
		switch failure := wiring.RootFailure(source); {
		case root == nil && name != "":
			notes = append(notes, fmt.Sprintf("%s: %s", title, cause))
		case root != nil && failure != nil:
			read, _ := wiring.RootAge(source)
			notes = append(notes, fmt.Sprintf("%s serves as it was read at %s: %v", title, read.UTC().Format(time.RFC3339), failure))
		}
	}
	return notes
}
