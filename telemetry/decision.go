package telemetry

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/rego"
)

// mostFailed bounds the names of policies in an [Account].
const mostFailed = 20

// Decision is one decision while it is made. It travels with the context of the
// decision, as a span does. Nil is none, and takes in nothing.
type Decision struct {
	telemetry *Telemetry
	span      trace.Span // nil unless it is sampled
	trace     string
	spans     atomic.Int64 // below span
	spent     [mostStages]atomic.Int64

	mu      sync.Mutex
	account Account
}

// Account is what is known of a decision when it is made.
type Account struct {
	// Trace is the ID of the trace that is exported, "" for none.
	Trace string
	// Set is the hash of the policy set.
	Set string
	// Evaluations of the policies, one when every answer was known.
	Evaluations int
	// Codes are those of all refusals, each once, in order.
	Codes []string
	// Failed are policies that did not pass, in any mode, each once and in order: the
	// first twenty that came.
	Failed []string
	// Stages are what was spent on each that there was.
	Stages []Spent
}

// Spent is the time of a stage, added up over what was done beside each other.
type Spent struct {
	Stage string
	Took  time.Duration
}

// Asked is what a review came with.
type Asked struct {
	// Webhook is the route, of a closed list.
	Webhook string
	// Traceparent is that header of W3C Trace Context, as it came.
	Traceparent string
	// Vouched says that who asks has shown who it is. Only such a caller's trace goes on
	// with the decision; that of another one is linked to.
	Vouched bool
}

type decisionKey struct{}

func decisionOf(ctx context.Context) *Decision {
	d, _ := ctx.Value(decisionKey{}).(*Decision)
	return d
}

// Deciding begins a decision. The function ends it with its result, of a closed list.
func (t *Telemetry) Deciding(ctx context.Context, asked Asked) (context.Context, func(result string) Account) {
	d := &Decision{telemetry: t}
	ctx = t.root(context.WithValue(ctx, decisionKey{}, d), d, asked)
	return ctx, func(result string) Account {
		account := d.sum()
		if d.span != nil {
			d.end(result, account)
		}
		return account
	}
}

// sum is the account of what was taken in by now. A fetch that goes on for others is not
// in it.
func (d *Decision) sum() Account {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.account
	out.Trace = d.trace
	out.Codes, out.Failed = slices.Clone(out.Codes), slices.Clone(out.Failed)
	slices.Sort(out.Codes)
	slices.Sort(out.Failed)
	out.Stages = make([]Spent, 0, mostStages)
	for i := range d.spent {
		if took := d.spent[i].Load(); took > 0 {
			out.Stages = append(out.Stages, Spent{string(stages()[i]), time.Duration(took)})
		}
	}
	return out
}

func (d *Decision) spend(stage observe.Stage, took time.Duration) {
	if i := indexOf(stage); d != nil && i >= 0 {
		d.spent[i].Add(int64(took))
	}
}

// Traced are the trace and the span of the decision that a context is of, "" where no trace is
// exported.
func Traced(ctx context.Context) (trace, span string) {
	d := decisionOf(ctx)
	if d == nil || d.span == nil {
		return "", ""
	}
	return d.trace, d.span.SpanContext().SpanID().String()
}

// traceID is that of a trace that is exported.
func (d *Decision) traceID() string {
	if d == nil {
		return ""
	}
	return d.trace
}

func (d *Decision) served(set string, evaluations int) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.account.Set, d.account.Evaluations = set, evaluations
}

func (d *Decision) refused(code string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.account.Codes, code) {
		d.account.Codes = append(d.account.Codes, code)
	}
}

func (d *Decision) outcome(policy, outcome string) {
	if d == nil || outcome == "passed" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.account.Failed) < mostFailed && !slices.Contains(d.account.Failed, policy) {
		d.account.Failed = append(d.account.Failed, policy)
	}
}

// pass takes in an evaluation.
func (d *Decision) pass(ctx context.Context, number int, pass rego.Pass) {
	if d == nil {
		return
	}
	d.spend(Evaluate, pass.Took)
	d.evaluated(ctx, number, pass)
}
