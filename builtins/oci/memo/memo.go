// Package memo keeps answers of registries and shares those that are under way. Each is named by whose it is, so that
// nothing obtained for one tenant is served to another. Failures are never kept.
package memo

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

// Key names an answer: whose it is, which call it answers, and what that call was about. It is a struct and not a
// joined string, so that no credential ID can be spelled to look like another's answer.
type Key struct{ Tenant, Call, About string }

// String is injective: quoting leaves no separator unescaped.
func (k Key) String() string { return fmt.Sprintf("%q %q %q", k.Tenant, k.Call, k.About) }

// Answer is a value with what keeping it costs and for how long it holds. An answer without a TTL is not kept.
type Answer struct {
	Value any
	Cost  int64
	TTL   time.Duration
}

// Forever is the TTL of what is named by its digest.
const Forever = time.Duration(math.MaxInt64)

// Cache is an LRU bounded by the cost of what it keeps.
type Cache struct {
	now  func() time.Time
	most int64

	mu   sync.Mutex
	lru  *simplelru.LRU[Key, kept]
	cost int64
}

type kept struct {
	Answer
	since time.Time
}

// NewCache makes an empty cache that keeps what costs most at most.
func NewCache(most int64, now func() time.Time) (*Cache, error) {
	c := &Cache{now: now, most: most}
	lru, err := simplelru.NewLRU(math.MaxInt32, func(_ Key, k kept) { c.cost -= k.Cost })
	c.lru = lru
	return c, err
}

// Get gives what is kept under a key.
func (c *Cache) Get(k Key) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.lru.Get(k)
	if !ok {
		return nil, false
	}
	if c.now().Sub(e.since) >= e.TTL {
		c.lru.Remove(k)
		return nil, false
	}
	return e.Value, true
}

// Put keeps an answer.
func (c *Cache) Put(k Key, a Answer) {
	if a.TTL <= 0 || a.Cost > c.most {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(k)
	c.lru.Add(k, kept{Answer: a, since: c.now()})
	c.cost += a.Cost
	for c.cost > c.most {
		c.lru.RemoveOldest()
	}
}

// Drop forgets value, unless something newer took its place.
func (c *Cache) Drop(k Key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.lru.Peek(k); ok && e.Value == value {
		c.lru.Remove(k)
	}
}

// Shorten makes value expire ttl after it was put, if that is sooner than it would.
func (c *Cache) Shorten(k Key, value any, ttl time.Duration) {
	if ttl <= 0 {
		c.Drop(k, value)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.lru.Peek(k); ok && e.Value == value && ttl < e.TTL {
		e.TTL = ttl
		c.lru.Add(k, e)
	}
}

// Flights run each fetch once for all who want its answer at the same time.
type Flights struct {
	group singleflight.Group
	// Timeout bounds each fetch.
	Timeout time.Duration
}

// Shared answers from what is kept, or from a fetch that is under way for the same key, or by calling fetch. The fetch runs
// on a context of its own: whoever leaves gets a Timeout, the others and the cache still get the answer.
func Shared[V any](ctx context.Context, s *Flights, from *Cache, k Key, fetch func(context.Context) (Answer, error)) (V, error) {
	var none V
	if v, ok := from.Get(k); ok {
		return v.(V), nil
	}
	if err := ctx.Err(); err != nil {
		return none, edge.Refusal(k.About, err)
	}
	detached := context.WithoutCancel(ctx)
	done := s.group.DoChan(k.String(), func() (any, error) {
		if v, ok := from.Get(k); ok { // the flight before this one landed between our look and our start
			return v, nil
		}
		own, cancel := context.WithTimeout(detached, s.Timeout)
		defer cancel()
		a, err := recovered(own, k, fetch)
		if err != nil {
			return nil, err
		}
		from.Put(k, a)
		return a.Value, nil
	})
	select {
	case <-ctx.Done():
		return none, edge.Refusal(k.About, ctx.Err())
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(V), nil
	}
}

// recovered keeps a panic over a stranger's answer from ending the process: singleflight would rethrow it on a
// goroutine where nobody can catch it.
func recovered(ctx context.Context, k Key, fetch func(context.Context) (Answer, error)) (a Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = edge.Refuse(edge.Malformed, "%s: got an answer that caused a panic: %v", k.About, p)
		}
	}()
	return fetch(ctx)
}
