package oci

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// key names an answer: whose it is, which call it answers, and what that call was about. It is a struct and not a
// joined string, so that no credential ID can be spelled to look like another's answer.
type key struct{ tenant, call, about string }

// String is injective: quoting leaves no separator unescaped.
func (k key) String() string { return fmt.Sprintf("%q %q %q", k.tenant, k.call, k.about) }

// answer is a value with what keeping it costs and for how long it holds. An answer without a TTL is not kept.
type answer struct {
	value any
	cost  int64
	ttl   time.Duration
}

// forever is the TTL of what is named by its digest.
const forever = time.Duration(math.MaxInt64)

// cache is an LRU bounded by the cost of what it keeps.
type cache struct {
	now  func() time.Time
	most int64

	mu   sync.Mutex
	lru  *simplelru.LRU[key, kept]
	cost int64
}

type kept struct {
	answer
	since time.Time
}

func newCache(most int64, now func() time.Time) (*cache, error) {
	c := &cache{now: now, most: most}
	lru, err := simplelru.NewLRU(math.MaxInt32, func(_ key, k kept) { c.cost -= k.cost })
	c.lru = lru
	return c, err
}

func (c *cache) get(k key) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.lru.Get(k)
	if !ok {
		return nil, false
	}
	if c.now().Sub(e.since) >= e.ttl {
		c.lru.Remove(k)
		return nil, false
	}
	return e.value, true
}

func (c *cache) put(k key, a answer) {
	if a.ttl <= 0 || a.cost > c.most {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(k)
	c.lru.Add(k, kept{answer: a, since: c.now()})
	c.cost += a.cost
	for c.cost > c.most {
		c.lru.RemoveOldest()
	}
}

// drop forgets value, unless something newer took its place.
func (c *cache) drop(k key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.lru.Peek(k); ok && e.value == value {
		c.lru.Remove(k)
	}
}

// shorten makes value expire ttl after it was put, if that is sooner than it would.
func (c *cache) shorten(k key, value any, ttl time.Duration) {
	if ttl <= 0 {
		c.drop(k, value)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.lru.Peek(k); ok && e.value == value && ttl < e.ttl {
		e.ttl = ttl
		c.lru.Add(k, e)
	}
}

// sharing runs a fetch once for all who want its answer at the same time.
type sharing struct {
	flights singleflight.Group
	timeout time.Duration
}

// shared answers from kept, or from a fetch that is under way for the same key, or by calling fetch. The fetch runs
// on a context of its own: whoever leaves gets a Timeout, the others and the cache still get the answer.
func shared[V any](ctx context.Context, s *sharing, from *cache, k key, fetch func(context.Context) (answer, error)) (V, error) {
	var none V
	if v, ok := from.get(k); ok {
		return v.(V), nil
	}
	if err := ctx.Err(); err != nil {
		return none, edge.Refusal(k.about, err)
	}
	detached := context.WithoutCancel(ctx)
	done := s.flights.DoChan(k.String(), func() (any, error) {
		if v, ok := from.get(k); ok { // the flight before this one landed between our look and our start
			return v, nil
		}
		own, cancel := context.WithTimeout(detached, s.timeout)
		defer cancel()
		a, err := recovered(own, k, fetch)
		if err != nil {
			return nil, err
		}
		from.put(k, a)
		return a.value, nil
	})
	select {
	case <-ctx.Done():
		return none, edge.Refusal(k.about, ctx.Err())
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(V), nil
	}
}

// recovered keeps a panic over a stranger's answer from ending the process: singleflight would rethrow it on a
// goroutine where nobody can catch it.
func recovered(ctx context.Context, k key, fetch func(context.Context) (answer, error)) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = edge.Refuse(Malformed, "%s: got an answer that caused a panic: %v", k.about, p)
		}
	}()
	return fetch(ctx)
}
