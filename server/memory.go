package server

import (
	"context"
	"sync"
	"time"
)

const (
	// memoryOfReviews is for all large reviews of workloads together: as much again is garbage,
	// and the small ones, of which there are as many as are decided at once, may take that too.
	// It is more than the largest review takes, with as many values as are read.
	memoryOfReviews = 256 << 20
	// memoryOfPolicies is for those of policies that are applied, which workloads cannot take. It
	// fits the largest update of a policy: what is not built in is stored as the JSON that is sent.
	memoryOfPolicies = 128 << 20
	// waitForRoom is how long a review waits for memory, all in all. Its answer still comes
	// in time where the API server waits for a second, which is the least.
	waitForRoom = 500 * time.Millisecond
)

// memory is what large reviews take while they are read and decided. It is no semaphore of
// x/sync: there, one that waits for much keeps out those for which there is enough.
type memory struct {
	all int64

	mu    sync.Mutex
	free  int64
	held  map[string]int64 // by namespace, of what is being decided
	freed chan struct{}    // closed when some is given back
}

func newMemory(all int64) *memory {
	return &memory{all: all, free: all, held: map[string]int64{}, freed: make(chan struct{})}
}

// room is what one review takes of the memory for all.
type room struct {
	of        *memory
	held      int64
	namespace string    // whose share that is; empty as long as it is nobody's
	until     time.Time // when it waits no longer; zero as long as it did not
}

// take takes so many bytes more, or says that there were not so many, nor within the time that a
// review waits.
func (r *room) take(ctx context.Context, more int64) bool {
	return r.await(ctx, more, func() bool {
		if more > r.of.free {
			return false
		}
		r.add(more)
		return true
	})
}

// share takes so many bytes more, and holds all that the review has for the part of its namespace.
// One namespace has half of the memory, or one review: what has its Pods decided slowly leaves
// room for the others. Cluster-wide objects are those of who administers it.
func (r *room) share(ctx context.Context, namespace string, more int64) bool {
	return r.await(ctx, more, func() bool {
		others := r.of.held[namespace]
		if more > r.of.free || namespace != "" && others > 0 && others+r.held+more > r.of.all/2 {
			return false
		}
		r.namespace = namespace
		if namespace != "" {
			r.of.held[namespace] += r.held
		}
		r.add(more)
		return true
	})
}

// add is called with the lock.
func (r *room) add(more int64) {
	r.held += more
	r.of.free -= more
	if r.namespace != "" {
		r.of.held[r.namespace] += more
	}
}

// await tries, and tries again whenever some memory is given back. What there can never be is
// not waited for.
func (r *room) await(ctx context.Context, more int64, try func() bool) bool {
	if r.held+more > r.of.all {
		return false
	}
	var timer *time.Timer
	for {
		r.of.mu.Lock()
		done, freed := try(), r.of.freed
		r.of.mu.Unlock()
		if done {
			return true
		}
		if timer == nil {
			if r.until.IsZero() {
				r.until = time.Now().Add(waitForRoom)
			}
			timer = time.NewTimer(time.Until(r.until))
			defer timer.Stop()
		}
		select {
		case <-freed:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// leave gives back what was taken. It may be called again.
func (r *room) leave() {
	if r.held == 0 {
		return
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.of.free += r.held
	if r.namespace != "" {
		if r.of.held[r.namespace] -= r.held; r.of.held[r.namespace] == 0 {
			delete(r.of.held, r.namespace)
		}
	}
	r.held, r.namespace = 0, ""
	close(r.of.freed)
	r.of.freed = make(chan struct{})
}
