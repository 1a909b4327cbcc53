// Package once makes what takes long once, however often it is asked for, and lets nobody
// wait for it longer than there is time.
//
// Policies are loaded again and again, and most of them did not change. A [Store] keeps what
// was made, by what it was made of. A [Load] is one reading of all policies: it waits a while
// for each thing that is new, and a while for all of them. What is not made by then is
// [ErrLater]: it is made in the background, and the Store tells when it is there. So one
// policy that takes long to compile keeps no other from being in force.
//
// What the last two loads asked for is kept, and nothing else: the Store is as large as the
// policies are.
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

// retry is how soon is tried again what ran out of its time: the machine may have been busy.
const retry = 5 * time.Minute

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
	ready func()

	mu    sync.Mutex
	items map[Key]*item
	loads uint64
}

// item is something that is made, or being made.
type item struct {
	done  chan struct{} // closed when it is made
	value any
	err   error
	made  time.Time

	used uint64 // the last load that asked for it
	late bool   // a load did not wait for it
}

// NewStore returns a Store that keeps nothing yet. ready is called when something is made
// that a load did not wait for, from a goroutine of its own.
func NewStore(ready func()) *Store { return &Store{ready: ready, items: map[Key]*item{}} }

// Patience is how long a load waits.
type Patience struct {
	// Each is for one thing, and All for all of them. Zero is as long as it takes.
	Each, All time.Duration
}

// Load is one reading of policies. Nil makes everything anew, and waits for it.
type Load struct {
	store  *Store
	number uint64
	each   time.Duration
	ends   time.Time // zero for never

	mu   sync.Mutex
	left int
}

// Begin begins a load. It is ended by [Load.End].
func (s *Store) Begin(p Patience) *Load {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	out := &Load{store: s, number: s.loads, each: p.Each}
	if p.All > 0 {
		out.ends = time.Now().Add(p.All)
	}
	return out
}

// Patiently is the load without a limit, for what must not be missing.
func (l *Load) Patiently() *Load {
	if l == nil {
		return nil
	}
	return &Load{store: l.store, number: l.number}
}

// Left counts what was not even begun, for lack of time: another load would get further.
func (l *Load) Left() int {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left
}

// End forgets what neither this load nor the one before asked for.
func (l *Load) End() {
	if l == nil {
		return
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	for key, found := range l.store.items {
		if found.used+1 < l.number && found.isMade() {
			delete(l.store.items, key)
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
	return i.isMade() && errors.Is(i.err, context.DeadlineExceeded) && now.Sub(i.made) >= retry
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
	if found == nil {
		return none, ErrLater
	}
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

// find is the item of a key. Where there is none it is begun, if there is time, and else nil.
func (s *Store) find(ctx context.Context, l *Load, key Key, build func(context.Context) (any, error)) (found *item, begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found = s.items[key]
	if found == nil || found.stale(time.Now()) {
		if !l.ends.IsZero() && !time.Now().Before(l.ends) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.left++
			return nil, false
		}
		found, begun = &item{done: make(chan struct{}), used: l.number}, true
		s.items[key] = found
		go s.build(context.WithoutCancel(ctx), found, build)
	}
	found.used = max(found.used, l.number)
	return found, begun
}

func (s *Store) build(ctx context.Context, into *item, build func(context.Context) (any, error)) {
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
		timer := time.NewTimer(limit)
		defer timer.Stop()
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
	limit, limited = l.each, l.each > 0
	if l.ends.IsZero() {
		return limit, limited
	}
	if left := time.Until(l.ends); !limited || left < limit {
		limit = left
	}
	return max(limit, 0), true
}
