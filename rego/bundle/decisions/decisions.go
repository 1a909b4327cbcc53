// Package decisions logs decisions in OPA's format, through OPA's own plugins: labels,
// masks, chunks, retries and buffers are theirs (opa v1/plugins/logs, v1/plugins/status).
//
// A [Logger] takes each decision beside its answer, makes what OPA's server would know of
// it, and hands it to the plugin decision_logs of a manager. Sinks that OPA lacks are
// plugins of [Factories]: object stores, and OPA's own files, counted.
//
// What an entry has instead of evidence is its digests, see [evidenceOf]. Values of
// environment variables and of Secrets are masked before OPA sees them, as capsules mask
// them. A review that is too large for memory to be spent on it loses its objects, and
// keeps the decision.
//
// An entry has no member error. OPA cannot read one back (logs.EventV1.Error is an
// interface), and its upload reads chunks back to split them: one decision that failed
// would take all others of its chunk along, uncounted. The cause is in custom.error.
package decisions

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/logs"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle/decisions/masks"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/queue"
)

// Options are the settings of a [Logger]. The zero value has bounds that fit a server.
type Options struct {
	// Observe is told of each decision that was taken.
	Observe outcome.Observe
	// Log has a line when entries begin to be lost on the way to OPA, and one when they
	// no longer are. Nil is nowhere.
	Log *slog.Logger
	// Traced says of the context of a decision in which trace and span it was made, "" for
	// none. Nil is none.
	Traced func(context.Context) (trace, span string)
	// Bundles are the revisions of the bundles that a set is made of, by name: by the time
	// that the entry is made, others may be active. Nil is none.
	Bundles func(*rego.Set) map[string]string
	// Entries and Bytes bound what waits, 1,024 and 64 MiB when zero.
	Entries int
	Bytes   int64
	// MostInput bounds a review that is logged whole, in bytes; 1 MiB when zero.
	MostInput int
	// Drain bounds how long the end waits, 5 seconds when zero.
	Drain time.Duration
}

// evaluating bounds the policies that mask and drop, for one entry.
const evaluating = 2 * time.Second

// waiting is a decision that waits to be logged.
type waiting struct {
	made        rego.Made // without its answers
	answers     []asked
	trace, span string
	at          time.Time
}

// Logger logs decisions. Build it with [New], let [Logger.Run] run, and give
// [Logger.Take] to the engine.
type Logger struct {
	manager *plugins.Manager
	ear     *Ear // nil where the manager has none
	options Options
	queue   *queue.Queue[waiting]
	digests *lru.Cache[answer, digested]
	shown   shown
	failing bool
}

// New logs to the plugin decision_logs of a manager, if and while it has one. A manager
// whose logger is one of [Listen] tells what its policies mask badly and leave out.
func New(m *plugins.Manager, options Options) (*Logger, error) {
	if m == nil {
		return nil, fmt.Errorf("decision logs: got no plugin manager, want one")
	}
	if options.Observe == nil {
		options.Observe = func(outcome.Place, outcome.Result, int) {}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Entries == 0 {
		options.Entries = 1024
	}
	if options.Bytes == 0 {
		options.Bytes = 64 << 20
	}
	if options.MostInput == 0 {
		options.MostInput = 1 << 20
	}
	if options.Drain == 0 {
		options.Drain = 5 * time.Second
	}
	l := &Logger{manager: m, options: options}
	l.ear, _ = m.Logger().(*Ear)
	var err error
	if l.digests, err = lru.New[answer, digested](mostDigests); err != nil {
		return nil, err
	}
	limits := queue.Limits{Entries: options.Entries, Bytes: options.Bytes, Drain: options.Drain}
	l.queue = queue.New(limits, func(next waiting) func() {
		result, err := l.log(next)
		return func() { l.tell(result, err) }
	})
	return l, nil
}

// Take takes a decision to be logged. It never waits: where there is no room it is
// dropped, and counted. It fits [rego.Engine.Watch].
func (l *Logger) Take(ctx context.Context, made rego.Made) {
	next := waiting{made: made, at: time.Now()}
	if made.Answers != nil {
		next.at = made.Answers.Now()
	}
	if l.options.Traced != nil {
		next.trace, next.span = l.options.Traced(ctx)
	}
	var bytes int64
	next.answers, bytes = l.takeAnswers(made.Answers)
	next.made.Answers = nil
	bytes += int64(len(made.Review)) + overhead
	if !l.queue.Offer(next, bytes) {
		l.options.Observe(outcome.Queue, outcome.Dropped, 1)
	}
}

// overhead is what a decision holds besides its review and answers, about.
const overhead = 4 << 10

// Run logs until ctx ends, and then what was taken before, in bounded time. The manager
// is to be stopped after it.
func (l *Logger) Run(ctx context.Context) {
	if left := l.queue.Run(ctx); left > 0 {
		l.options.Observe(outcome.Queue, outcome.Dropped, left)
		l.options.Log.Error("decision logs", "error", "decisions were not logged in time", "lost", left)
	}
}

// Waiting is how many decisions wait to be logged.
func (l *Logger) Waiting() int { return l.queue.Waiting() }

// tell counts a decision, and says when something begins to go wrong or no longer does.
func (l *Logger) tell(result outcome.Result, err error) {
	l.options.Observe(outcome.Queue, result, 1)
	switch {
	case err != nil && !l.failing:
		l.options.Log.Error("decision logs", "error", err)
	case err == nil && l.failing:
		l.options.Log.Info("decision logs work again")
	}
	l.failing = err != nil
}

// log hands one decision to OPA's plugin.
func (l *Logger) log(next waiting) (result outcome.Result, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			result, err = outcome.Failed, fmt.Errorf("decision log panicked: %.200v", cause)
		}
	}()
	plugin := logs.Lookup(l.manager)
	if plugin == nil {
		return outcome.Unasked, nil
	}
	info, err := l.info(next)
	if err != nil {
		return outcome.Failed, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), evaluating)
	defer cancel()
	if info.Txn, err = l.manager.Store.NewTransaction(ctx); err != nil {
		return outcome.Failed, err
	}
	defer l.manager.Store.Abort(ctx, info.Txn)
	if err := masks.Defined(ctx, l.manager, info.Txn); err != nil {
		return outcome.Masking, err
	}
	l.ear.forget()
	if err := plugin.Log(ctx, info); err != nil {
		return outcome.Failed, err
	}
	switch heard := l.ear.heard(); heard {
	case outcome.Masking:
		return heard, fmt.Errorf("mask_decision or drop_decision: no answer, want one: the entry is not logged")
	case outcome.LeftOut:
		return heard, nil
	default:
		return outcome.Delivered, nil
	}
}
