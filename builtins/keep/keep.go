// Package keep holds values that serve again, in bounded memory.
package keep

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache holds values that serve until a time, the most recently used ones, up to
// a bound on the memory that they take. It is safe for concurrent use.
type Cache[V any] struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[string, Lasting[V]]
	most int64
	cost int64

	looked *Looked
}

// Looked counts what came of looking for something. It may be that of several caches, and
// outlive them. The zero value counts from nothing; nil does not count.
type Looked struct{ hits, misses atomic.Uint64 }

// Hits is how often it was there, and still served.
func (l *Looked) Hits() uint64 { return l.hits.Load() }

// Misses is how often it was not, and had to be made.
func (l *Looked) Misses() uint64 { return l.misses.Load() }

// Miss is called by who makes what was not there: a cache does not know whether it is
// looked for twice.
func (l *Looked) Miss() {
	if l != nil {
		l.misses.Add(1)
	}
}

func (l *Looked) hit() {
	if l != nil {
		l.hits.Add(1)
	}
}

// Lasting is a value that serves until its time; zero is for ever.
type Lasting[V any] struct {
	Value V
	Until time.Time
	Cost  int64 // in bytes
}

// New makes an empty cache that holds at most so many bytes.
func New[V any](most int64) *Cache[V] {
	k := &Cache[V]{most: most}
	// The only error is a size that is not positive.
	k.lru, _ = simplelru.NewLRU(math.MaxInt32, func(_ string, e Lasting[V]) { k.cost -= e.Cost })
	return k
}

// Counted counts what is found from now on, and gives the cache back.
func (k *Cache[V]) Counted(looked *Looked) *Cache[V] {
	k.looked = looked
	return k
}

// Get gives the value of a key, if it still serves.
func (k *Cache[V]) Get(key string, now time.Time) (out V, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, ok := k.lru.Get(key)
	if !ok {
		return out, false
	}
	if !entry.Until.IsZero() && !now.Before(entry.Until) {
		k.lru.Remove(key)
		return out, false
	}
	k.looked.hit()
	return entry.Value, true
}

// Holds says whether a key has a value of which something holds. It is not used by that.
func (k *Cache[V]) Holds(key string, of func(V) bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, ok := k.lru.Peek(key)
	return ok && of(entry.Value)
}

// Remove forgets the value of a key.
func (k *Cache[V]) Remove(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lru.Remove(key)
}

// Put keeps a value. One that is larger than the cache is not kept.
func (k *Cache[V]) Put(key string, e Lasting[V]) {
	e.Cost += int64(len(key)) + 1<<10 // what an entry takes besides its value
	if e.Cost > k.most {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lru.Remove(key)
	k.lru.Add(key, e)
	k.cost += e.Cost
	for k.cost > k.most {
		k.lru.RemoveOldest()
	}
}
