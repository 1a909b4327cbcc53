// Package canary tries a candidate policy set on live decisions, beside the set that
// serves.
//
// A decision is taken after it is made ([Canary.Take]): that is one send to a queue, and
// what does not fit is lost and counted. A worker of its own judges it by the candidate,
// from what the decision saw and from nothing else, says how the two differ, and rests
// four times as long as it worked, or whatever its share of one core asks for. Nobody
// waits for it, it asks no registry, and nothing of what is compiled or kept is that of
// the set that serves.
//
// What the candidate asks for and the decision did not see makes its outcome [Unknown],
// whatever it says of the rest: an unknown outcome is counted as that and never as an
// admission. So is one that has no decision, or that lacks an answer for want of time.
package canary

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/queue"
)

// The bounds of what waits to be judged. A decision that comes when they are reached is
// answered like any other, and lost here.
const (
	mostWaiting      = 64
	mostWaitingBytes = 64 << 20
)

// compileTimeout is for the largest set on a busy machine.
const compileTimeout = 5 * time.Minute

// Options are the settings of an installation. The zero value asks nobody, and takes a
// fifth of one core.
type Options struct {
	// Share is the share of one core that the candidate may take, 0.2 when zero.
	Share float64
	// Skip is the share of decisions that are not tried.
	Skip float64
	// Deadline bounds the judging of one decision, 5 seconds when zero.
	Deadline time.Duration
	// AnchoredIdentities is how identity expressions match in this installation.
	AnchoredIdentities bool
	// Namespaces are those of the cluster now, nil where there is none.
	Namespaces func() *rego.Namespaces
	// Fetch gets facts that decisions did not see, and FetchPerMinute is how many
	// questions to registries that may take. Without either nobody is asked.
	Fetch          *recording.Fetch
	FetchPerMinute int
	// Source says what is wrong with where candidates are from, "" for nothing. Nil is nobody.
	Source func() string
	// Log has a line for each new kind of difference, and for each tenfold of its count.
	Log *slog.Logger
	Hooks
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Candidate is a policy set to be tried.
type Candidate struct {
	// Name is that of its bundle, and Revision what the bundle says.
	Name, Revision string
	// Digest is that of its manifest where it came from a registry, and Content the hash
	// over its files, archive.About.Set, where it has one.
	Digest, Content string
	// Policies are the whole set as it would serve. Whom its source asks does not matter.
	Policies recording.Policies
}

// Canary tries candidates, one after the other. It is safe for concurrent use.
type Canary struct {
	options Options
	current atomic.Pointer[trial]
	queue   *queue.Queue[waiting]
	end     chan struct{}
	ended   sync.Once
}

// waiting is a decision that waits to be judged by a candidate, or with nothing made a
// candidate that waits to be compiled.
type waiting struct {
	made       rego.Made
	trial      *trial
	namespaces *rego.Namespaces
}

// New makes a canary without a candidate.
func New(options Options) *Canary {
	if !(options.Share > 0 && options.Share <= 1) { // also not a number
		options.Share = 0.2
	}
	if options.Deadline <= 0 {
		options.Deadline = 5 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Fetch != nil {
		fetch := *options.Fetch
		fetch.Allowance = &allowance{most: options.FetchPerMinute, now: options.Now, took: options.fetched}
		options.Fetch = &fetch
		if options.FetchPerMinute <= 0 {
			options.Fetch = nil
		}
	}
	c := &Canary{options: options, end: make(chan struct{})}
	limits := queue.Limits{Entries: mostWaiting, Bytes: mostWaitingBytes, Drain: options.Deadline}
	c.queue = queue.New(limits, func(next waiting) func() { c.one(next); return nil })
	return c
}

// Candidate puts a candidate in the place of the one before, nil for none. It is compiled
// by [Canary.Run]; one that does not compile says so in the report, and all its outcomes
// are unknown. What is being judged by the one before is forgotten, and what was judged
// too, unless it comes to the same policies of the same bundle: then those beside it were
// loaded again, and changed nothing.
func (c *Canary) Candidate(next *Candidate) {
	if next == nil {
		c.current.Store(nil)
		return
	}
	t := newTrial(*next, c.options, c.current.Load())
	c.current.Store(t)
	c.queue.Offer(waiting{trial: t}, 0) // else it is compiled with its first decision
}

// Take takes a decision to be tried. It never waits, and nothing that happens to it
// changes the decision. Patches are not tried: no policy has a say in them.
func (c *Canary) Take(made rego.Made) {
	t := c.current.Load()
	if t == nil || made.Mutation || c.options.Skip > 0 && rand.Float64() < c.options.Skip {
		return
	}
	bytes := int64(len(made.Review))
	if session, ok := made.Answers.(*builtins.Session); ok {
		bytes += session.Holds() // which caches may have forgotten by then
	}
	if !c.queue.Offer(waiting{made: made, trial: t, namespaces: c.namespaces()}, bytes) {
		c.lost(t)
	}
}

func (c *Canary) namespaces() *rego.Namespaces {
	if c.options.Namespaces == nil {
		return nil
	}
	return c.options.Namespaces()
}

// lost counts a decision that the candidate did not judge.
func (c *Canary) lost(t *trial) {
	t.lost()
	c.options.dropped()
}

// Run judges until ctx ends; what waits then is left. It is to be called once.
func (c *Canary) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { c.ended.Do(func() { close(c.end) }) })()
	c.queue.Run(ctx)
}

// Report says what became of the candidate so far. Without one it is empty, but for why that is so.
func (c *Canary) Report() Report {
	cause := ""
	if c.options.Source != nil {
		cause = cut(c.options.Source(), longestText)
	}
	if t := c.current.Load(); t != nil {
		out := t.report(c.options.Now())
		out.Source = cause
		return out
	}
	if cause == "" {
		return Report{}
	}
	return Report{At: c.options.Now(), Error: cause}
}

// one judges one decision, and rests. The worker calls it.
func (c *Canary) one(next waiting) {
	select {
	case <-c.end:
		return
	default:
	}
	if next.trial != c.current.Load() {
		if next.made.Set != nil {
			c.lost(next.trial)
		}
		return
	}
	began := time.Now()
	worked := c.try(next)
	worked = max(worked, time.Since(began))
	c.options.worked(worked)
	c.rest(worked)
}

// try compiles the candidate, if that is still to be done, and judges the decision.
func (c *Canary) try(next waiting) (worked time.Duration) {
	defer func() {
		if cause := recover(); cause != nil {
			c.options.Log.Error("canary", "error", fmt.Sprintf("trying panicked: %.200v", cause))
			if next.made.Set != nil {
				next.trial.panicked()
				c.options.decided(Unknown)
			}
		}
	}()
	t := next.trial
	if !t.compiled {
		t.compile(compileTimeout)
	}
	if next.made.Set == nil {
		return 0
	}
	judged, worked, err := t.judge(next, c.options.Deadline)
	if t != c.current.Load() { // another one came meanwhile
		c.lost(t)
		return worked
	}
	c.options.decided(t.count(next.made, judged, err))
	return worked
}

// rest is what keeps the candidate to its share.
func (c *Canary) rest(worked time.Duration) {
	pause := time.Duration(float64(worked) * (1 - c.options.Share) / c.options.Share)
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.end:
	}
}
