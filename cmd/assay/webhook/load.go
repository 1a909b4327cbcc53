package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/server"
)

// patience is how long a load waits for what a policy brings along: most of it takes
// milliseconds. One that takes longer denies until it is compiled, and all others are in force.
//
// Before anything serves there is no hurry: a replica that is not ready denies nothing that
// another would admit. What namespaces bring has less time, and never keeps others waiting.
func patience() (cluster, owned once.Patience) {
	return once.Patience{Each: time.Second, All: 5 * time.Second}, once.Patience{Each: 250 * time.Millisecond, All: 2 * time.Second}
}

// compileTime bounds what all policies together take, which nobody can wait for less: ten
// thousand take a minute.
const compileTime = 5 * time.Minute

// newReloader makes one that has loaded nothing.
func newReloader(w *wiring.Wiring, metrics *server.Metrics, log *slog.Logger) *reloader {
	r := &reloader{
		wiring: w, log: log, metrics: metrics, wake: make(chan struct{}, 1), again: make(chan struct{}, 1),
		compile: w.CompileAfter, compiling: make(chan struct{}, 1),
	}
	w.Kept = once.NewStore(r.loadAgain)
	_, w.Owned = patience()
	return r
}

// loadAgain has policies loaded once more: what took long is there.
func (r *reloader) loadAgain() {
	select {
	case r.again <- struct{}{}:
	default: // it is told already
	}
}

// keepLoading loads whenever that gets further.
func (r *reloader) keepLoading(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.again:
			r.reload(ctx)
		}
	}
}

// load reads policies and lets them serve. It returns what serves, nothing where that was refused.
func (r *reloader) load(ctx context.Context, read func(context.Context) (*wiring.Documents, error)) (*rego.Set, *wiring.Documents) {
	documents, set, err := r.compiled(ctx, read)
	if err == nil {
		err = r.emptied(set, documents)
	}
	if err != nil {
		r.took(nil, err) // whoever reads the line finds it so
		r.log.Error("policies refused, the last good set serves", "error", err)
		return nil, nil
	}
	r.take(set, documents)
	return set, documents
}

// take lets policies serve.
func (r *reloader) take(set *rego.Set, documents *wiring.Documents) {
	r.loads++
	r.documents.Store(documents)
	// An unchanged set stays, with the answers it knows; no poll is worth a line.
	generation := set.Hash() + documents.Generation()
	changed := generation != r.generation
	r.inFiles, r.regoInFiles = documents.InFiles(), documents.RegoInFiles(set)
	if r.bundles != nil {
		serving := set
		if !changed {
			serving = r.engine.Set()
		}
		r.bundles.Publish(r.content, serving) // of which this set is
	}
	// A KMS that stops to answer changes no policy, and is worth a line.
	warnings := slices.Concat(documents.Warnings, set.Warnings())
	news := changed || r.failure != nil || !slices.Equal(warnings, r.warned)
	if changed {
		r.generation = generation
		r.engine.Swap(set)
		r.serves(set)
		if r.bundles != nil {
			r.bundles.Renew()
		}
	}
	if r.took(documents, nil) {
		select {
		case r.wake <- struct{}{}:
		default: // it was told already
		}
	}
	if news {
		r.warn(warnings)
		r.log.Info("policies loaded", "policies", policiesOf(set), "hash", set.Hash())
	}
}

// compiled reads and compiles. A panic over what somebody wrote is a refusal: whoever serves
// goes on to serve.
func (r *reloader) compiled(ctx context.Context, read func(context.Context) (*wiring.Documents, error)) (documents *wiring.Documents, set *rego.Set, err error) {
	defer r.recovered(&err)
	if documents, err = read(ctx); err != nil {
		return nil, nil, err
	}
	set, err = r.compileInTime(ctx, documents)
	return documents, set, err
}

// compileInTime compiles policies, and does not wait for ever. OPA's compiler looks at no
// deadline: what it does not end is left behind, and as long as it runs nothing else is begun.
func (r *reloader) compileInTime(ctx context.Context, documents *wiring.Documents) (*rego.Set, error) {
	if !r.begin() {
		return nil, errors.New("policies that were loaded before are still being compiled, past their time")
	}
	ctx, cancel := context.WithTimeout(ctx, compileTime)
	defer cancel()
	type outcome struct {
		set *rego.Set
		err error
	}
	done := make(chan outcome, 1)
	before, compile := r.engine.Set(), r.compile
	go func() {
		var out outcome
		defer func() { done <- out }() // after the others: the next one may begin
		defer r.end()
		defer r.recovered(&out.err)
		out.set, out.err = compile(ctx, documents, before)
	}()
	select {
	case out := <-done:
		return out.set, out.err
	case <-ctx.Done():
		return nil, fmt.Errorf("compiling the policies: %w", context.Cause(ctx))
	}
}

// begin begins to compile, where nothing else is compiled.
func (r *reloader) begin() bool {
	for range 2 {
		select {
		case r.compiling <- struct{}{}:
			return true
		default:
			r.missed.Store(true) // and look again: it may have ended before it could see that
		}
	}
	return false
}

// end has what came in vain meanwhile loaded: nobody else may have a reason to.
func (r *reloader) end() {
	<-r.compiling
	if r.missed.Swap(false) {
		r.loadAgain()
	}
}

// recovered makes a refusal of a panic, to be deferred.
func (r *reloader) recovered(err *error) {
	if cause := recover(); cause != nil {
		r.log.Error("panic while policies are loaded", "panic", fmt.Sprintf("%.200v", cause), "stack", string(debug.Stack()))
		*err = errors.New("loading them panicked: the log has its cause")
	}
}
