// Package queue keeps what is done beside decisions from delaying them: records and
// logs wait here, bounded, and one that finds no room is lost at once and not waited
// for. Who offers counts what was lost.
package queue

import (
	"context"
	"sync"
	"time"
)

// Limits bound a queue. All are to be more than zero.
type Limits struct {
	// Entries is how many wait.
	Entries int
	// Bytes is what they and the one that is being worked on may hold, unless one alone
	// holds more.
	Bytes int64
	// Drain is how long the end waits for what is still in the queue: a disk may hang.
	Drain time.Duration
}

// Queue is worked on in order, one entry at a time. It is safe for concurrent use.
type Queue[T any] struct {
	limits Limits
	work   func(T) (tell func())
	queue  chan waiting[T]

	mu      sync.Mutex
	bytes   int64 // of what is in queue, and of what is being worked on
	pending int   // entries of both
	closed  bool
	left    bool // nobody waits any more
}

type waiting[T any] struct {
	item  T
	bytes int64
}

// New is a queue. work does what is to be done with an entry, and returns what tells of
// it, or nil: that is called unless the end came first and counted the entry as left.
func New[T any](limits Limits, work func(T) (tell func())) *Queue[T] {
	return &Queue[T]{limits: limits, work: work, queue: make(chan waiting[T], limits.Entries)}
}

// Offer puts an entry in the queue and reports whether there was room. It never waits.
// bytes is what the entry holds.
func (q *Queue[T]) Offer(item T, bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.bytes > 0 && q.bytes+bytes > q.limits.Bytes {
		return false
	}
	select {
	case q.queue <- waiting[T]{item, bytes}:
		q.bytes += bytes
		q.pending++
		return true
	default:
		return false
	}
}

// Waiting is how many entries wait.
func (q *Queue[T]) Waiting() int { return len(q.queue) }

// Run works until ctx ends, and then on what was taken before, for as long as a drain
// may take. It returns how many were left: those that still waited, and the one that
// was being worked on. It is to be called once.
func (q *Queue[T]) Run(ctx context.Context) (left int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for next := range q.queue {
			q.one(next)
		}
	}()
	<-ctx.Done()
	q.mu.Lock()
	q.closed = true
	close(q.queue)
	q.mu.Unlock()
	timer := time.NewTimer(q.limits.Drain)
	defer timer.Stop()
	select {
	case <-done:
		return 0
	case <-timer.C:
		return q.leave()
	}
}

func (q *Queue[T]) one(next waiting[T]) {
	tell := q.work(next.item)
	if q.finished(next.bytes) && tell != nil {
		tell()
	}
}

// finished reports whether somebody still wants to know.
func (q *Queue[T]) finished(bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left {
		return false
	}
	q.bytes -= bytes
	q.pending--
	return true
}

// leave counts what nobody waits for any more, and empties the queue.
func (q *Queue[T]) leave() (left int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left = true
	for range q.queue { // it is closed
		continue
	}
	return q.pending
}
