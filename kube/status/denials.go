package status

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/assay-dev/assay/kube"
)

const (
	// Of one owner there are so many Events at once, and then one a minute: a ReplicaSet
	// tries for ever.
	ownerBurst  = 3
	ownerPerSec = 1.0 / 60
	// mostOwners are remembered.
	mostOwners = 4096
	// All together are bounded as well, and served in turn: see line.
	denialsPerSec = 5
	denialsBurst  = 50
)

// Denials makes Events of denials.
type Denials struct {
	client   *kube.Client
	log      *slog.Logger
	reporter string

	line    *line
	dropped atomic.Uint64
	limited atomic.Uint64
	limiter limiter
	failing bool // Run's own
}

// NewDenials returns one that waits. reporter names this replica in Events.
func NewDenials(client *kube.Client, reporter string, log *slog.Logger) *Denials {
	return &Denials{
		client: client, log: log, reporter: reporter,
		line: newLine(), limiter: newLimiter(),
	}
}

// Denied takes in a denial and waits for nothing. What is too much is dropped. The object
// must not be changed afterwards.
func (d *Denials) Denied(denial Denial) {
	if !denial.DryRun {
		d.dropped.Add(d.line.join(denial))
	}
}

// Dropped counts the denials that became no Event because too many waited, or because
// the API server took none.
func (d *Denials) Dropped() uint64 { return d.dropped.Load() }

// Limited counts the denials that became no Event because their owner had many.
func (d *Denials) Limited() uint64 { return d.limited.Load() }

// Run makes Events until ctx ends. Every replica runs it: each tells of its own denials.
func (d *Denials) Run(ctx context.Context) {
	for ctx.Err() == nil {
		denial, ok := d.line.next()
		if ok {
			d.write(ctx, denial.event())
			continue
		}
		select {
		case <-ctx.Done():
		case <-d.line.some:
		}
	}
}

func (d *Denials) write(ctx context.Context, e event) {
	if !d.limiter.admits(e.regarding) {
		d.limited.Add(1)
		return
	}
	if d.limiter.all.Wait(ctx) != nil {
		return // it ends
	}
	err := create(ctx, d.client, e.object(d.reporter, time.Now()))
	if err != nil && ctx.Err() == nil {
		d.dropped.Add(1)
		if !d.failing { // said once: there may be five a second
			d.log.Warn("events: cannot be written", "error", err)
		}
	}
	d.failing = err != nil
}

// limiter bounds Events: how many there are of an owner, and how soon one follows another.
type limiter struct {
	all    flowcontrol.RateLimiter
	owners *lru.Cache[Reference, flowcontrol.RateLimiter]
}

func newLimiter() limiter {
	owners, err := lru.New[Reference, flowcontrol.RateLimiter](mostOwners)
	if err != nil {
		panic(err) // the size is positive
	}
	return limiter{all: flowcontrol.NewTokenBucketRateLimiter(denialsPerSec, denialsBurst), owners: owners}
}

func (l limiter) admits(owner Reference) bool {
	bucket, known := l.owners.Get(owner)
	if !known {
		bucket = flowcontrol.NewTokenBucketRateLimiter(ownerPerSec, ownerBurst)
		l.owners.Add(owner, bucket)
	}
	return bucket.TryAccept()
}
