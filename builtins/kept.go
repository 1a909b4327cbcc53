package builtins

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// kept holds values that serve until a time, the most recently used ones, up to
// a bound on the memory that they take. It is safe for concurrent use.
type kept[V any] struct {
	mu   sync.Mutex
	lru  *simplelru.LRU[string, lasting[V]]
	most int64
	cost int64
}

// lasting is a value that serves until its time; zero is for ever.
type lasting[V any] struct {
	value V
	until time.Time
	cost  int64
}

// keeping makes an empty cache that holds at most so many bytes.
func keeping[V any](most int64) *kept[V] {
	k := &kept[V]{most: most}
	// The only error is a size that is not positive.
	k.lru, _ = simplelru.NewLRU(math.MaxInt32, func(_ string, e lasting[V]) { k.cost -= e.cost })
	return k
}

func (k *kept[V]) get(key string, now time.Time) (out V, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	entry, ok := k.lru.Get(key)
	if !ok {
		return out, false
	}
	if !entry.until.IsZero() && !now.Before(entry.until) {
		k.lru.Remove(key)
		return out, false
	}
	return entry.value, true
}

func (k *kept[V]) put(key string, e lasting[V]) {
	e.cost += int64(len(key)) + 1<<10 // what an entry takes besides its value
	if e.cost > k.most {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lru.Remove(key)
	k.lru.Add(key, e)
	k.cost += e.cost
	for k.cost > k.most {
		k.lru.RemoveOldest()
	}
}
