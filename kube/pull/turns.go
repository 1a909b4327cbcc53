package pull

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// mostAtOnce is how many requests are under way for one namespace.
const mostAtOnce = 8

// turns lets each namespace have so many requests under way and no more: whoever creates
// many Pods with names of many Secrets waits for himself, and nobody else for him.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

type turn struct {
	free  *semaphore.Weighted
	users int // who waits, or has a turn
}

// take waits for a turn. done gives it back.
func (t *turns) take(ctx context.Context, namespace string) (done func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*turn{}
	}
	own, ok := t.of[namespace]
	if !ok {
		own = &turn{free: semaphore.NewWeighted(mostAtOnce)}
		t.of[namespace] = own
	}
	own.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.of, namespace)
		}
	}
	if err := own.free.Acquire(ctx, 1); err != nil {
		leave()
		return nil, err
	}
	return func() {
		own.free.Release(1)
		leave()
	}, nil
}
