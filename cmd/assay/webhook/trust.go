package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/server"
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
	wanted, _ := r.wanted()
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
	if objects := r.cluster.watcher.Objects(); r.loaded.Load() && objects.Revision == r.revision {
		r.tell(objects)
	}
}

// wanted are the roots that policies rely on, and whether any relies on the default one.
func (r *reloader) wanted() (roots map[string]wiring.RootSource, needsRoot bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots, r.needsRoot
}

// rootCheck says whether there is a root where policies need one.
func (r *reloader) rootCheck() server.Check {
	out := server.Check{Name: "trust"}
	roots, needsRoot := r.wanted()
	switch root, cause := r.wiring.Root.Serving(); {
	case root != nil:
		r.rooted.Store(true)
	case needsRoot && r.rooted.Load():
		// All replicas lose it together: serving denies what needs it, not serving
		// would deny, or under failurePolicy Ignore admit, everything.
		out.Note = cause
	case needsRoot:
		out.Err = errors.New(cause)
	case roots[""] != nil: // policies of namespaces want it, and fail there
		out.Note = cause
	}
	notes := rootNotes(roots)
	if out.Note != "" {
		notes = slices.Insert(notes, 0, out.Note)
	}
	out.Note = strings.Join(notes, "; ")
	return out
}

// rootNotes say which roots policies rely on in vain, and which are older than they should be.
// A TrustRoot that is not there denies what refers to it and stops nothing else.
func rootNotes(roots map[string]wiring.RootSource) (notes []string) {
	for _, name := range slices.Sorted(maps.Keys(roots)) {
		source, title := roots[name], "TrustRoot "+name
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
