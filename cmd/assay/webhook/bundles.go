package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/once"
)

// installation is what bundles are beside here.
func (r *reloader) installation(version string) bundled.Installation {
	return bundled.Installation{
		Version: version, Wiring: r.wiring, Telemetry: r.telemetry, Prepare: r.prepare, Removed: r.removed, Tried: r.tried,
		Fetch: r.wiring.Fetch(r.documents.Load),
	}
}

// prepare is the gate of bundles: their policies and all others are compiled together, and
// what is wrong with one of theirs refuses them. What serves until then serves on.
func (r *reloader) prepare(ctx context.Context, next bundle.Content) (publish func(), err error) {
	defer func() { r.bundles.Count(err) }()
	if err := r.bundles.Admits(next, time.Now()); err != nil {
		return nil, err
	}
	// They may take minutes, and other policies come into force meanwhile.
	if err := r.bundles.Tests(ctx, next); err != nil {
		return nil, err
	}
	loaded, err := r.judged(ctx, next)
	if err != nil {
		return nil, err
	}
	// The disk is waited for by this bundle alone, and by no load of other policies.
	if err := r.bundles.Raise(next); err != nil {
		return nil, err
	}
	return func() {
		r.loading.Lock()
		defer r.loading.Unlock()
		r.wiring.Bundled, r.content = loaded.with, next
		if r.loads != loaded.at { // something else was loaded meanwhile
			r.reloadLocked(context.WithoutCancel(ctx)) // the store has them, whoever was waiting
			return
		}
		r.take(loaded.set, loaded.documents)
		if objects := loaded.objects; objects != nil {
			r.tookObjects(*objects, loaded.set, loaded.documents)
			r.tell(*objects)
		}
	}, nil
}

// judged are policies of bundles and all others, compiled.
type judged struct {
	with      *wiring.Bundled
	set       *rego.Set
	documents *wiring.Documents
	objects   *watch.Objects // nil where there are none or they are not known yet
	at        uint64         // how often something was let serve before
}

// judged compiles what bundles would hold with all other policies, and refuses what is wrong with theirs.
func (r *reloader) judged(ctx context.Context, next bundle.Content) (out judged, err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	out.at, out.with = r.loads, bundledOf(next)
	beside := r.wiring.Beside(out.with)
	beside.Patience = once.Patience{} // what is in force is no worse meanwhile
	var read func(context.Context) (*wiring.Documents, error)
	read, out.objects = r.reading(beside)
	if out.documents, out.set, err = r.compiled(ctx, read); err != nil {
		return out, err
	}
	if err := out.documents.Broken(wiring.Sets{Next: out.set, Before: r.engine.Set()}, next.Modules, r.settled(next)); err != nil {
		return out, err
	}
	if err := r.emptied(out.set, out.documents); err != nil { // files are read here, too
		return out, err
	}
	return out, warm(ctx, out.set)
}

// removed takes what is left when a configuration has fewer bundles. Nobody can be told that it failed, on the
// goroutine of OPA that a panic would end the process from: the next load tries again.
func (r *reloader) removed(ctx context.Context, left bundle.Content) {
	var err error // which is logged
	defer r.recovered(&err)
	r.bundles.Lost()
	r.loading.Lock()
	defer r.loading.Unlock()
	r.wiring.Bundled, r.content = bundledOf(left), left
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
		out.Resources[placeOf(resource)] = resource.Document
	}
	return out
}

func placeOf(resource bundle.Resource) string {
	return "bundle " + resource.Bundle + ": " + resource.Path
}

// settled says of the place of a resource whether its bundle was active before.
func (r *reloader) settled(next bundle.Content) func(place string) bool {
	places, bundles := map[string]bool{}, r.bundles.Settled(next)
	for _, resource := range next.Resources {
		places[placeOf(resource)] = bundles[resource.Bundle]
	}
	return func(place string) bool { return places[place] }
}

// tried are the policies that would serve with other bundles. They are read beside the loads of
// those that serve, which wait for nothing of it.
func (r *reloader) tried(ctx context.Context, next bundle.Content) (_ recording.Policies, err error) {
	defer r.recovered(&err)
	beside, read := r.trial(next)
	documents, err := read(ctx)
	if err != nil {
		return recording.Policies{}, err
	}
	return recording.Policies{Source: beside.Source(documents), Roots: documents.Named.Roots()}, nil
}

// trial is how policies are read now that will not serve.
func (r *reloader) trial(with bundle.Content) (beside *wiring.Wiring, read func(context.Context) (*wiring.Documents, error)) {
	r.loading.Lock()
	defer r.loading.Unlock()
	beside = r.wiring.Trial(bundledOf(with))
	read, _ = r.reading(beside)
	return beside, read
}
