// Package once makes what takes long once, however often it is asked for, and lets nobody
// wait for it longer than there is time.
//
// Policies are loaded again and again, and most of them did not change. A [Store] keeps what
// was made, by what it was made of. A [Load] is one reading of all policies: it waits a while
// for each thing that is new, and a while for all of them. What is not made by then is
// [ErrLater]: it is made in the background, few at a time, and the Store tells when it is
// there. So one policy that takes long to compile keeps no other from being in force. What
// namespaces bring has a time and a background of its own, [Load.Owned].
//
// What the last two loads asked for that came to serve is kept, whatever was loaded since and refused. Of
// all others what the last few asked for is kept, and nothing else: the Store is as large as the policies are.
package once

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrLater says that something is not made yet. The text is the same however long it takes:
// it becomes part of policies.
var ErrLater = errors.New("it takes long to compile, and is not compiled yet: try again")

// recent is how many loads keep what they asked for, whatever became of them: one that was refused is often
// tried again, and one that others were begun beside may be about to serve.
const recent = 3

// retry is how soon is tried again what ran out of its time, and mostTries how often in all:
// the machine may have been busy, and what never ends may still be running.
const (
	retry     = 5 * time.Minute
	mostTries = 3
)

// atOnce is how many things of the cluster are made at once, and atOnceOwned of those of
// namespaces: one that is waited for, and others in the background.
const (
	atOnce      = 5
	atOnceOwned = 2
)

// Key names what something is made of, and what is made of it.
type Key [sha256.Size]byte

// KeyOf is the key of some parts, which say it all: texts, bytes, and other keys.
func KeyOf[T ~string | ~[]byte](kind string, parts ...T) Key {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%d %s\n", len(kind), kind) // a hash takes all
	for _, part := range parts {
		_, _ = fmt.Fprintf(hash, "%d\n", len(part))
		_, _ = hash.Write([]byte(part))
	}
	return Key(hash.Sum(nil))
}

// Store keeps what was made. It is safe for concurrent use.
type Store struct {
	ready        func()
	slots, owned chan struct{}

	mu     sync.Mutex
	items  map[Key]*item
	loads  uint64
	served [2]map[Key]bool // what the last two asked for that came to serve
}

// item is something that is made, or being made.
type item struct {
	done  chan struct{} // closed when it is made
	value any
	err   error
	made  time.Time

	used  uint64 // the last load that asked for it
	late  bool   // a load did not wait for it
	tries int
}

// NewStore returns a Store that keeps nothing yet. ready is called when something is made
// that a load did not wait for, from a goroutine of its own.
func NewStore(ready func()) *Store {
	return &Store{ready: ready, items: map[Key]*item{}, slots: make(chan struct{}, atOnce), owned: make(chan struct{}, atOnceOwned)}
}

// Patience is how long a load waits.
type Patience struct {
	// Each is for one thing, and All for all of them: the time that is spent in waiting, and
	// not what else takes its time meanwhile. Zero is as long as it takes.
	Each, All time.Duration
}

// Load is one reading of policies. Nil makes everything anew, and waits for it.
type Load struct {
	store    *Store
	number   uint64
	patience Patience
	slots    chan struct{} // nil where all is waited for anyway, one after the other
	owned    *Load
	asked    map[Key]bool // of the store's lock, and the same of owned

	mu     sync.Mutex
	waited time.Duration
}

// Begin begins a load, with so much patience for what is the cluster's, and for what is
// namespaces'. Where it comes to serve, that is told by [Load.Serves].
func (s *Store) Begin(p, owned Patience) *Load {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	s.forget()
	asked := map[Key]bool{}
	return &Load{
		store: s, number: s.loads, patience: p, slots: s.slots, asked: asked,
		owned: &Load{store: s, number: s.loads, patience: owned, slots: s.owned, asked: asked},
	}
}

// Owned is the load for what a namespace brings: it takes no time from others.
func (l *Load) Owned() *Load {
	if l == nil {
		return nil
	}
	return l.owned
}

// Patiently is the load without a limit, for what must not be missing.
func (l *Load) Patiently() *Load {
	if l == nil {
		return nil
	}
	return &Load{store: l.store, number: l.number, asked: l.asked}
}

// Serves says that what was loaded serves from now on. A load that was refused is none of which that
// is said: what serves may be what it did not ask for.
func (l *Load) Serves() {
	if l == nil {
		return
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.store.served = [2]map[Key]bool{l.asked, l.store.served[0]}
	l.store.forget()
}

// forget forgets what nothing that served of late and no recent load asked for. It requires the lock.
func (s *Store) forget() {
	for key, found := range s.items {
		if found.used+recent <= s.loads && !s.served[0][key] && !s.served[1][key] && found.isMade() {
			delete(s.items, key)
		}
	}
}

func (i *item) isMade() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// stale says that something ran out of time long ago.
func (i *item) stale(now time.Time) bool {
	return i.isMade() && errors.Is(i.err, context.DeadlineExceeded) && i.tries < mostTries && now.Sub(i.made) >= retry
}

// Get is what build makes, made once for all that ask for the key. It is [ErrLater] where it
// is not made in time. build gets a context that ends with nobody's; a panic in it is an error.
// Nothing may change what it returned.
func Get[V any](ctx context.Context, l *Load, key Key, build func(context.Context) (V, error)) (V, error) {
	var none V
	if l == nil {
		return build(ctx)
	}
	found, begun := l.store.find(ctx, l, key, func(ctx context.Context) (any, error) { return build(ctx) })
	if err := l.wait(ctx, found, begun); err != nil {
		return none, err
	}
	if found.err != nil {
		return none, found.err
	}
	value, ok := found.value.(V)
	if !ok {
		return none, fmt.Errorf("got a %T of another kind under one key, want a %T", found.value, none)
	}
	return value, nil
}

// find is the item of a key. Where there is none it is begun.
func (s *Store) find(ctx context.Context, l *Load, key Key, build func(context.Context) (any, error)) (found *item, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.items[key]
	if found == nil || found.stale(time.Now()) {
		tries := 1
		if found != nil {
			tries += found.tries
		}
		found, begun = &item{done: make(chan struct{}), used: l.number, tries: tries}, true
		s.items[key] = found
		go s.build(context.WithoutCancel(ctx), found, l.slots, build)
	}
	found.used = max(found.used, l.number)
	l.asked[key] = true
	return found, begun
}

func (s *Store) build(ctx context.Context, into *item, slots chan struct{}, build func(context.Context) (any, error)) {
	if slots != nil {
		slots <- struct{}{}
		defer func() { <-slots }()
	}
	value, err := guarded(ctx, build)
	s.mu.Lock()
	into.value, into.err, into.made = value, err, time.Now()
	close(into.done)
	late := into.late
	s.mu.Unlock()
	if late {
		s.ready()
	}
}

func guarded(ctx context.Context, build func(context.Context) (any, error)) (value any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			value, err = nil, fmt.Errorf("panicked: %.200v", cause)
		}
	}()
	return build(ctx)
}

// wait waits for an item that this load began, as long as there is time. For what an earlier
// load began nobody waits a second time.
func (l *Load) wait(ctx context.Context, found *item, begun bool) error {
	var over <-chan time.Time
	switch limit, limited := l.limit(); {
	case limited && !begun && l.gaveUp(found):
		return ErrLater
	case limited:
		timer, began := time.NewTimer(limit), time.Now()
		defer timer.Stop()
		defer func() { l.charge(time.Since(began)) }()
		over = timer.C
	}
	select {
	case <-found.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-over:
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if found.isMade() {
		return nil
	}
	found.late = true
	return ErrLater
}

// gaveUp says that a load waited in vain for what is not made yet.
func (l *Load) gaveUp(found *item) bool {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	return found.late && !found.isMade()
}

// limit is how long may be waited for one thing now.
func (l *Load) limit() (limit time.Duration, limited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, limited = l.patience.Each, l.patience.Each > 0
	if l.patience.All <= 0 {
		return limit, limited
	}
	if left := l.patience.All - l.waited; !limited || left < limit {
		limit = left
	}
	return max(limit, 0), true
}

func (l *Load) charge(waited time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waited += waited
}
