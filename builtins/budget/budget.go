// Package budget shares the time of one decision among all that it waits for, so that
// something is always left for deciding: for questions to registries, and for the policies
// inside policies, which are evaluated when the questions have their answers.
package budget

import (
	"context"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/declare"
)

// margin is kept free before the deadline of a decision, so that Rego still
// decides and a policy in warn mode still warns.
const margin = 500 * time.Millisecond

// Budget is the time of one decision. The zero value is a new one. It is safe for
// concurrent use.
type Budget struct {
	mu       sync.Mutex
	asked    time.Time       // end of all questions, see Asking
	judged   time.Time       // end of all policies inside policies, see judging
	runaways map[string]bool // policies inside policies that ran past their time
}

// Asking is the context of questions: it ends a margin before the decision does,
// or after half of the time when that is short. The first question sets that end
// for all: what is asked past it is answered by timeout at once.
func (b *Budget) Asking(ctx context.Context) (context.Context, context.CancelFunc) {
	return b.before(ctx, &b.asked, margin)
}

// judging is the context of policies inside policies, which have half of the margin.
func (b *Budget) judging(ctx context.Context) (context.Context, context.CancelFunc) {
	return b.before(ctx, &b.judged, margin/2)
}

// Judge runs a policy inside a policy, unless it ran past its time in this decision
// before: it is asked for each image and attestation, and what it takes each time
// would be missing for the policies of others. For the same reason it never gets more
// than half of the time that is left, and the less the more of them ran past theirs.
func (b *Budget) Judge(ctx context.Context, policy string, run func(context.Context) *declare.Problem) *declare.Problem {
	p := b.inTime(ctx, policy, run)
	if p != nil && p.Code == declare.Timeout {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.runaways == nil {
			b.runaways = map[string]bool{}
		}
		b.runaways[policy] = true
	}
	return p
}

func (b *Budget) inTime(ctx context.Context, policy string, run func(context.Context) *declare.Problem) *declare.Problem {
	b.mu.Lock()
	late, runaways := b.runaways[policy], len(b.runaways)
	b.mu.Unlock()
	if late {
		return declare.Refuse(declare.Timeout, "not evaluated: in this decision it took too long before")
	}
	ctx, cancel := b.judging(ctx)
	defer cancel()
	if end, ok := ctx.Deadline(); ok {
		ctx, cancel = context.WithTimeout(ctx, min(time.Until(end)/2, share(runaways)))
		defer cancel()
	}
	return run(ctx)
}

// share is what a policy gets at most beside so many that ran past their time: half as
// much with each of them, so that all together take no more than twice the first, and no
// less than a machine that is busy needs for one that ends.
func share(runaways int) time.Duration {
	const first, least = 2 * time.Second, margin / 2
	return max(first>>min(runaways, 8), least)
}

// before ends spare earlier than ctx. The end is set once, for all that comes: many
// that take their time must not wear away what is left for the decision itself.
func (b *Budget) before(ctx context.Context, end *time.Time, spare time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if end.IsZero() {
		*end = deadline.Add(-min(spare, time.Until(deadline)/2))
	}
	return context.WithDeadline(ctx, *end)
}
