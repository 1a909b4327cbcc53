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

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/rego/bundle/stores"
)

const (
	// parallel is how many objects are read at once: each may take what a chunk does in memory.
	parallel = 8
	// maxChunks and maxBytes bound what is read of decision logs, the newest first.
	maxChunks = 50_000
	maxBytes  = 2 << 30
	// maxKnown bounds what is read of statuses, and so what is kept of them: 25 KiB of each of as
	// many replicas as are looked at.
	maxKnown = 512 << 20
)

// question is what is asked of a store.
type question struct {
	cluster string
	since   time.Time
	now     time.Time
	stale   time.Duration
	gone    time.Duration // not heard of for longer is no replica any more; 0 is for ever one
	soon    time.Duration // what expires within it is told of
	top     int
	canary  bool        // candidates are asked for
	rule    canary.Rule // of which it says whether they may serve
}

// read answers the question.
func read(ctx context.Context, store stores.Store, q question) (*Report, error) {
	found, stopped, err := scan(ctx, store, q.cluster, q.since)
	if err != nil {
		return nil, err
	}
	r := reading{store: store, q: q, report: &Report{At: q.now, Since: q.since, NotRead: []NotRead{}, Replicas: []Replica{}, top: q.top}}
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
	bytes  int64 // of chunks
	known  int64 // bytes of statuses
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
	left := 0
	err := many(ctx, all, func(ctx context.Context, k *known) {
		if k.status == nil {
			return
		}
		r.mu.Lock()
		full := r.known > maxKnown
		if full {
			left++
		}
		r.mu.Unlock()
		if full {
			return
		}
		data, err := r.store.Get(ctx, k.status.Name, maxStatus)
		if err == nil {
			k.update, err = parseStatus(data)
		}
		if err != nil {
			r.failed(k.status.Name, err)
		}
		if k.update != nil && k.update.standing != nil && !r.q.canary {
			k.update.standing.Canary = nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.known += int64(len(data))
	})
	if left > 0 {
		r.report.notRead("*/status.json", fmt.Sprintf("got more than %d bytes of statuses, left %d: ask by --cluster", maxKnown, left))
	}
	return err
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
	var living []*known
	var left []Replica
	for _, k := range all {
		replica := k.replica(r.q)
		total.join(k.tally)
		switch stopped, gone := k.left(replica.Seen, r.q); {
		case stopped:
			out.Stopped++
		case gone:
			out.Gone++
		default:
			living, out.Replicas = append(living, k), append(out.Replicas, replica)
			continue
		}
		left = append(left, replica)
	}
	if r.q.canary {
		out.Candidates = candidates(living, out.Replicas, r.q)
	}
	slices.SortFunc(out.Replicas, func(a, b Replica) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(out.NotRead, func(a, b NotRead) int { return strings.Compare(a.Object, b.Object) })
	out.Revisions = compare(out.Replicas)
	out.Clusters = leave(clusters(out.Replicas), left, r.q.since)
	out.tally = *total
	out.Denied = Denied{top(total.policies, r.q.top), top(total.images, r.q.top), top(total.namespaces, r.q.top)}
	return out
}
