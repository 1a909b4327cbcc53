package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/assay-dev/assay/rego/bundle/stores"
)

const (
	// parallel is how many objects are read at once: each may take what a chunk does in memory.
	parallel = 8
	// maxChunks and maxBytes bound what is read of decision logs, the newest first.
	maxChunks = 50_000
	maxBytes  = 2 << 30
)

// question is what is asked of a store.
type question struct {
	cluster string
	since   time.Time
	now     time.Time
	stale   time.Duration
	top     int
}

// read answers the question.
func read(ctx context.Context, store stores.Store, q question) (*Report, error) {
	found, stopped, err := scan(ctx, store, q.cluster, q.since)
	if err != nil {
		return nil, err
	}
	r := reading{store: store, q: q, report: &Report{At: q.now, Since: q.since, NotRead: []NotRead{}}}
	if stopped {
		r.report.notRead("*", fmt.Sprintf("got more than %d replicas or %d names, want fewer: ask by --cluster", maxReplicas, maxScanned))
	}
	all := make([]*known, len(found))
	for i, h := range found {
		all[i] = &known{held: h, tally: newTally()}
	}
	err = r.statuses(ctx, all)
	if err == nil {
		err = r.chunks(ctx, all)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	if err != nil {
		r.report.notRead("*", "got no answer in time, left the rest: ask by --cluster, a shorter --since or a longer --timeout")
	}
	return r.sum(all), nil
}

// reading is a question that is being answered.
type reading struct {
	store stores.Store
	q     question

	mu     sync.Mutex
	report *Report
	bytes  int64
}

// failed notes what could not be read.
func (r *reading) failed(object string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.notRead(object, err.Error())
}

// many reads things in parallel, until the caller leaves.
func many[T any](ctx context.Context, things []T, of func(ctx context.Context, thing T)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, thing := range things {
		g.Go(func() error {
			if ctx.Err() == nil {
				of(ctx, thing)
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

func (r *reading) statuses(ctx context.Context, all []*known) error {
	return many(ctx, all, func(ctx context.Context, k *known) {
		if k.status == nil {
			return
		}
		data, err := r.store.Get(ctx, k.status.Name, maxStatus)
		if err == nil {
			k.update, err = parseStatus(data)
		}
		if err != nil {
			r.failed(k.status.Name, err)
		}
	})
}

// chunk is a chunk of a replica.
type chunk struct {
	of   *known
	name string
	when string // as its name has it
}

func (r *reading) chunks(ctx context.Context, all []*known) error {
	var chunks []chunk
	for _, k := range all {
		for _, entry := range k.chunks {
			_, when, _ := placeOf(entry.Name)
			chunks = append(chunks, chunk{k, entry.Name, when})
		}
	}
	slices.SortFunc(chunks, func(a, b chunk) int { return cmp.Or(strings.Compare(b.when, a.when), strings.Compare(a.name, b.name)) })
	if len(chunks) > maxChunks {
		r.report.notRead("*/"+chunks[maxChunks].when, fmt.Sprintf("got %d chunks of decision logs, read the newest %d: ask by --cluster or a shorter --since", len(chunks), maxChunks))
		chunks = chunks[:maxChunks]
	}
	var left int
	var first chunk
	err := many(ctx, chunks, func(ctx context.Context, c chunk) {
		r.mu.Lock()
		if r.bytes > maxBytes {
			if left++; left == 1 {
				first = c
			}
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		r.chunk(ctx, c)
	})
	if left > 0 {
		r.report.notRead("*/"+first.when, fmt.Sprintf("got more than %d bytes of decision logs, left %d older chunks: ask by --cluster or a shorter --since", maxBytes, left))
	}
	return err
}

func (r *reading) chunk(ctx context.Context, c chunk) {
	data, err := r.store.Get(ctx, c.name, maxChunk)
	counted := newTally()
	if err == nil {
		err = readChunk(data, r.q.since, counted)
	}
	if err != nil && ctx.Err() == nil {
		r.failed(c.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += int64(len(data))
	c.of.tally.join(counted)
}

// sum makes a report of what was read.
func (r *reading) sum(all []*known) *Report {
	out := r.report
	total := newTally()
	for _, k := range all {
		out.Replicas = append(out.Replicas, k.replica(r.q.now, r.q.stale))
		total.join(k.tally)
	}
	slices.SortFunc(out.Replicas, func(a, b Replica) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(out.NotRead, func(a, b NotRead) int { return strings.Compare(a.Object, b.Object) })
	out.Revisions = compare(out.Replicas)
	out.tally = *total
	out.Denied = Denied{top(total.policies, r.q.top), top(total.images, r.q.top), top(total.namespaces, r.q.top)}
	return out
}
