// Package keep holds values that serve again, in bounded memory.
package keep

import (
	"math"
	"sync"
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
	return entry.Value, true
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
