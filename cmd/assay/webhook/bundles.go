package webhook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"


	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/dataapi"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// bundles is what the webhook has to do with OPA's plugin manager.
type bundles struct {
	flags   bundleFlags
	manager *bundle.Manager
	floors  *fresh.Floors
	own     string     // the directory that is kept across restarts
	trust   *bootstrap // nil where whoever writes to a source may sign

	started  chan struct{} // closed once what was persisted was looked at
	complete atomic.Bool   // all bundles of the configuration were active at once

	mu     sync.Mutex
	active []bundle.Bundle
	// refused counts activations that the gate refused, activated those it let pass.
	refused, activated uint64
}

// prepare is the gate of bundles: their policies and all others are compiled together, and
// what is wrong with one of theirs refuses them. What serves until then serves on.
func (r *reloader) prepare(ctx context.Context, next bundle.Content) (publish func(), err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	defer func() { r.bundles.count(err) }()
	if err := r.bundles.fresh(next, time.Now()); err != nil {
		return nil, err
	}
	if r.bundles.flags.dataAPI {
		if err := dataapi.Check(next.Modules, next.V0, apart.Reaching()); err != nil {
			return nil, err
		}
	}
	bundled := bundledOf(next)
	read, objects := r.reading()
	var documents *wiring.Documents
	var set *rego.Set
	r.beside(bundled, func() { documents, set, err = r.compiled(ctx, read) })
	if err != nil {
		return nil, err
	}
	if err := documents.Broken(set, next.Modules); err != nil {
		return nil, err
	}
	if err := warm(ctx, set); err != nil {
		return nil, err
	}
	if err := r.bundles.raise(next); err != nil {
		return nil, err
	}
	at := r.loads
	return func() {
		r.loading.Lock()
		defer r.loading.Unlock()
		r.wiring.Bundled = bundled
		r.bundles.publish(next)
		if r.loads != at { // something else was loaded meanwhile
			r.reloadLocked(ctx)
			return
		}
		r.take(set, documents)
		if objects != nil {
			r.tookObjects(*objects, set, documents)
			r.tell(*objects)
		}
	}, nil
}

// beside reads and compiles with other bundles than those that serve, and waits for what
// takes long: what is in force is no worse meanwhile.
func (r *reloader) beside(bundled *wiring.Bundled, compile func()) {
	before, patience := r.wiring.Bundled, r.wiring.Patience
	defer func() { r.wiring.Bundled, r.wiring.Patience = before, patience }()
	r.wiring.Bundled, r.wiring.Patience = bundled, once.Patience{}
	compile()
}

// removed takes what is left when a configuration has fewer bundles.
func (r *reloader) removed(ctx context.Context, left bundle.Content) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.wiring.Bundled = bundledOf(left)
	r.bundles.publish(left)
	r.reloadLocked(ctx)
}

// warm has a set decide once before it serves. One that cannot decide at all is refused.
func warm(ctx context.Context, set *rego.Set) error {
	const nothing = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"warm","operation":"CREATE",` +
		`"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"default",` +
		`"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"warm","namespace":"default"},"spec":{"containers":[]}}}}`
	if _, err := rego.NewEngine(set, nil).Decide(ctx, []byte(nothing)); err != nil {
		return fmt.Errorf("the policies cannot decide: %w", err)
	}
	return nil
}

func bundledOf(c bundle.Content) *wiring.Bundled {
	out := &wiring.Bundled{Resources: map[string][]byte{}, Modules: c.Modules, V0: c.V0, Data: c.Data}
	for _, resource := range c.Resources {
		out.Resources["bundle "+resource.Bundle+": "+resource.Path] = resource.Document
	}
	return out
}

// fresh refuses bundles that are older than what was active here, or past their time.
func (b *bundles) fresh(next bundle.Content, now time.Time) error {
	var errs []error
	for _, of := range next.Bundles {
		errs = append(errs, ended(of, now))
		if b.ordered(of.Name) {
			errs = append(errs, b.floors.Check(of.Name, of.Revision, b.flags.minimum[of.Name]))
		}
	}
	return errors.Join(errs...)
}

// raise keeps which revisions are taken, before they serve: what cannot be kept would let a
// restart take older ones.
func (b *bundles) raise(next bundle.Content) error {
	for _, of := range next.Bundles {
		if !b.ordered(of.Name) {
			continue
		}
		if err := os.MkdirAll(b.own, 0o700); err != nil {
			return err
		}
		if err := b.floors.Raise(of.Name, of.Revision); err != nil {
			return fmt.Errorf("bundle %s: %w", of.Name, err)
		}
	}
	return nil
}

// ordered says whether revisions of a bundle may not go backwards.
func (b *bundles) ordered(name string) bool {
	_, minimum := b.flags.minimum[name]
	return minimum || b.trust != nil
}

// ended says that a bundle is past its time, if it is.
func ended(of bundle.Bundle, now time.Time) error {
	if at := of.About.Expires; !at.IsZero() && !now.Before(at) {
		return fmt.Errorf("bundle %s: it expired at %s", of.Name, at.UTC().Format(time.RFC3339))
	}
	return nil
}

func (b *bundles) count(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.refused++
	} else {
		b.activated++
	}
}

// publish notes what is active now.
func (b *bundles) publish(content bundle.Content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = content.Bundles
}

// denies says why nothing can be admitted, "" where policies decide: not all bundles have
// been active yet, or one that is active is past its time.
func (b *bundles) denies(now time.Time) string {
	if !b.complete.Load() {
		if waiting := b.manager.Waiting(); waiting != "" {
			return waiting + ": try again"
		}
		b.complete.Store(true)
	}
	return b.expired(now)
}

func (b *bundles) expired(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.active {
		if err := ended(of, now); err != nil {
			return err.Error()
		}
	}
	return ""
}

// check says whether bundles let reviews be decided.
func (b *bundles) check() server.Check {
	out := server.Check{Name: "bundles"}
	if cause := b.denies(time.Now()); cause != "" {
		out.Err = errors.New(cause)
	}
	var notes []string
	for name, status := range b.statuses() {
		if status.Error != "" {
			notes = append(notes, fmt.Sprintf("bundle %s: %s", name, status.Error))
		}
	}
	slices.Sort(notes)
	out.Note = strings.Join(notes, "; ")
	if out.Err != nil && out.Note != "" {
		out.Err = fmt.Errorf("%w (%s)", out.Err, out.Note)
	}
	return out
}

// statuses are those of OPA, and of what is fetched for it.
func (b *bundles) statuses() map[string]bundle.Status {
	out := b.manager.Statuses()
	if b.trust != nil {
		b.trust.tell(out)
	}
	return out
}

// states are those of the bundles, for the metrics.
func (b *bundles) states() (out []telemetry.Bundle) {
	expires := map[string]time.Time{}
	b.mu.Lock()
	for _, of := range b.active {
		expires[of.Name] = of.About.Expires
	}
	b.mu.Unlock()
	for name, status := range b.statuses() {
		out = append(out, telemetry.Bundle{
			Name: name, Revision: status.Revision, Failing: status.Error != "",
			Activated: status.Activated, Confirmed: status.Confirmed, Expires: expires[name],
		})
	}
	return out
}

func (b *bundles) counts() telemetry.Activations {
	b.mu.Lock()
	defer b.mu.Unlock()
	return telemetry.Activations{Activated: b.activated, Refused: b.refused}
}

// keepBundles runs OPA's plugins until ctx ends, and then lets decision logs be sent. What
// does not start leaves a webhook that denies, and says why.
func (r *reloader) keepBundles(ctx context.Context) {
	if err := r.bundles.manager.Start(context.WithoutCancel(ctx)); err != nil {
		r.log.Error("bundles", "error", err)
	}
	close(r.bundles.started)
	if r.bundles.trust != nil {
		r.bundles.trust.run(ctx)
	}
	<-ctx.Done()
	r.bundles.manager.Stop(context.WithoutCancel(ctx))
}
