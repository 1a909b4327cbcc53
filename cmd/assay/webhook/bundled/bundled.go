// Package bundled is what a webhook has to do with policies that are in bundles: OPA's plugin
// manager as the flags have it, which revisions may be active and until when, who vouches for
// them, and a candidate that is tried beside what serves. What becomes of policies is decided by
// whoever serves, at the gate.
package bundled

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-dev/assay/cmd/assay/trusted"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/bundle/lock"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// Bundles are those of a webhook.
type Bundles struct {
	flags   Flags
	manager *bundle.Manager
	floors  *fresh.Floors
	log     *slog.Logger
	off     []string          // builtins that no Rego of bundles may call
	library map[string]string // that Rego of bundles may call
	own     string            // the directory that is kept across restarts
	trust   *trusted.Sources  // nil where whoever writes to a source may sign
	// candidate is tried beside what serves; nil where there is none.
	candidate *Candidate

	logs   *decisions.Logger
	sets   sets
	stands stands

	started  chan struct{} // closed once what was persisted was looked at
	kept     chan struct{} // tells that others are active, which is to be kept
	complete atomic.Bool   // all bundles of the configuration were active at once
	served   atomic.Bool   // they were, at some time

	locking sync.Mutex // held over the disk
	lock    *lock.Lock // of the directory; nil where nothing is kept

	mu      sync.Mutex // held over neither the network nor the disk: reviews wait for it
	failure error      // of the start of OPA's plugins
	active  []bundle.Bundle
	found   archive.About // of the discovery bundle, zero where there is none
	// unraised is the discovery bundle in force, as long as its revision is not kept.
	unraised *archive.Discovery
	// refused counts activations that the gate refused, activated those it let pass.
	refused, activated uint64
}

// Admits refuses bundles that are older than what was active here, past their time, or call a
// builtin that is off.
func (b *Bundles) Admits(next bundle.Content, now time.Time) error {
	var errs []error
	errs = append(errs, raw.CheckAll(next.Modules, b.library, next.V0, b.off))
	for _, of := range next.Bundles {
		if b.serves(of) {
			continue // it does so already, and may be past its time, which is said elsewhere
		}
		errs = append(errs, ended(of, now))
		if b.ordered(of.Name) {
			errs = append(errs, b.floors.Check(of.Name, of.Revision, b.flags.Minimum[of.Name], of.Sum))
		}
	}
	return errors.Join(errs...)
}

// serves says whether a bundle is active as it is.
func (b *Bundles) serves(of bundle.Bundle) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.active, func(active bundle.Bundle) bool {
		return active.Name == of.Name && active.Revision == of.Revision && active.Sum == of.Sum && active.About.Expires.Equal(of.About.Expires)
	})
}

// Settled are the bundles that were active before as they are, also before the program began: what
// was kept of them says so.
func (b *Bundles) Settled(next bundle.Content) map[string]bool {
	out := map[string]bool{}
	for _, of := range next.Bundles {
		out[of.Name] = of.Restored || b.serves(of) || b.ordered(of.Name) && b.floors.Was(of.Name, of.Sum)
	}
	return out
}

// Raise keeps which revisions are taken, before they serve: what cannot be kept would let a
// restart take older ones. A restart without network is to find what is not below that: it is
// kept first.
func (b *Bundles) Raise(next bundle.Content) error {
	for _, of := range next.Bundles {
		if !b.ordered(of.Name) {
			continue
		}
		if err := os.MkdirAll(b.own, 0o700); err != nil {
			return err
		}
		if err := next.Keep(of.Name); err != nil {
			return err
		}
		if err := b.floors.Raise(of.Name, of.Revision, of.Sum); err != nil {
			return fmt.Errorf("bundle %s: %w", of.Name, err)
		}
	}
	return nil
}

// ordered says whether revisions of a bundle may not go backwards.
func (b *Bundles) ordered(name string) bool {
	_, minimum := b.flags.Minimum[name]
	return minimum || b.trust != nil
}

// ended says that a bundle is past its time, if it is.
func ended(of bundle.Bundle, now time.Time) error {
	if err := fresh.Expired(of.About.Expires, now); err != nil {
		return fmt.Errorf("bundle %s: %w", of.Name, err)
	}
	return nil
}

// Count counts what the gate let pass, or refused.
func (b *Bundles) Count(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.refused++
	} else {
		b.activated++
	}
}

// Publish notes what is active now, and which set is of it.
func (b *Bundles) Publish(content bundle.Content, serving *rego.Set) {
	b.sets.serves(serving, content)
	b.mu.Lock()
	b.active = content.Bundles
	b.mu.Unlock()
	select {
	case b.kept <- struct{}{}:
	default: // it is told already
	}
}

// keepActive has a restart find what is active, until ctx ends. That waits for the disk, which is
// no reason for policies to.
func (b *Bundles) keepActive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.kept:
			b.keep()
		}
	}
}

func (b *Bundles) keep() {
	digests := map[string]string{}
	b.mu.Lock()
	for _, of := range b.active {
		digests[of.Name] = of.Tag
	}
	b.mu.Unlock()
	b.trust.Active(digests)
}

// Denies says why nothing can be admitted, "" where policies decide: not all bundles have been
// active together since one was taken out, or one that is active is past its time. One that
// discovery adds is not waited for: what served serves on.
func (b *Bundles) Denies(now time.Time) string {
	if !b.complete.Load() {
		deciding := b.deciding()
		if waiting := b.manager.Waiting(deciding); waiting != "" {
			return waiting + ": try again"
		}
		if len(deciding) > 0 { // nothing is no set of policies to go on with
			b.complete.Store(true)
			b.served.Store(true)
		}
	}
	return b.expired(now)
}

// deciding are the bundles of the set that serves.
func (b *Bundles) deciding() (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.active {
		names = append(names, of.Name)
	}
	return names
}

// Lost says that a bundle was taken out. Another may be to take its place: as long as that
// one is not active, the policies of neither are in force.
func (b *Bundles) Lost() { b.complete.Store(false) }

func (b *Bundles) expired(now time.Time) string {
	if causes := b.past(now); len(causes) > 0 {
		return causes[0]
	}
	return ""
}

// Check says whether bundles let reviews be decided.
func (b *Bundles) Check() server.Check {
	out := server.Check{Name: "bundles"}
	var notes []string
	b.mu.Lock()
	if b.failure != nil {
		notes = append(notes, b.failure.Error())
	}
	b.mu.Unlock()
	cause := b.Denies(time.Now())
	if kept := b.manager.Kept(); kept != "" && cause != "" { // what serves does without it
		notes = append(notes, kept)
	}
	switch {
	case cause == "":
	case b.served.Load():
		// All replicas say so together: not serving would deny, or under failurePolicy Ignore
		// admit, everything.
		notes = append(notes, "everything is denied: "+cause)
	default:
		out.Err = errors.New(cause)
	}
	for name, status := range b.statuses() {
		if status.Error != "" {
			notes = append(notes, fmt.Sprintf("bundle %s: %s", name, status.Error))
		}
	}
	if b.candidate != nil {
		if cause := b.candidate.wrong(); cause != "" {
			notes = append(notes, "candidate "+cause)
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
func (b *Bundles) statuses() map[string]bundle.Status {
	out := b.manager.Statuses()
	if b.trust != nil {
		b.trust.Tell(out)
	}
	return out
}

// states are those of the bundles, for the metrics.
func (b *Bundles) states() (out []telemetry.Bundle) {
	b.mu.Lock()
	expires := map[string]time.Time{configured.DiscoveryName: b.found.Expires}
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

func (b *Bundles) counts() telemetry.Activations {
	b.mu.Lock()
	defer b.mu.Unlock()
	return telemetry.Activations{Activated: b.activated, Refused: b.refused}
}

// Run runs OPA's plugins until ctx ends, and then lets decision logs be sent. What does not
// start leaves a webhook that denies, and says why.
func (b *Bundles) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	if b.candidate != nil {
		beside.Go(func() {
			if err := b.candidate.run(ctx); err != nil {
				b.log.Error("candidate", "error", err)
			}
		})
	}
	if b.trust != nil {
		beside.Go(func() { b.keepActive(ctx) })
	}
	if err := b.manager.Start(ctx); err != nil {
		b.log.Error("bundles", "error", err)
		b.mu.Lock()
		b.failure = err
		b.mu.Unlock()
	}
	close(b.started)
	if b.trust != nil {
		beside.Go(func() { b.trust.Run(ctx) })
	}
	var telling sync.WaitGroup
	telling.Go(func() { b.keepTelling(ctx) })
	b.logs.Run(ctx)
	telling.Wait()
	b.lastWord() //nolint:contextcheck // ctx has ended
	b.manager.Stop(context.WithoutCancel(ctx))
	beside.Wait()
	if b.trust != nil {
		b.keep() // what became active last
	}
	b.locking.Lock()
	defer b.locking.Unlock()
	if err := b.lock.Release(); err != nil {
		b.log.Error("the lock of the persistence directory is not released", "error", err)
	}
}

// Started is closed once what was kept was looked at.
func (b *Bundles) Started() <-chan struct{} { return b.started }

// Trigger has all bundles looked for now.
func (b *Bundles) Trigger(ctx context.Context) error { return b.manager.Trigger(ctx) }

// Take tries the candidate on a decision, if there is one.
func (b *Bundles) Take(made rego.Made) {
	if b.candidate != nil {
		b.candidate.tried.Take(made)
	}
}

// Tries says whether there is a candidate.
func (b *Bundles) Tries() bool { return b.candidate != nil }

// Renew says that other policies serve: a candidate is tried beside these from now on.
func (b *Bundles) Renew() {
	if b.candidate == nil {
		return
	}
	select {
	case b.candidate.renew <- struct{}{}:
	default: // it is told already
	}
}
