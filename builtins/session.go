package builtins

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// MetadataKey is the key of the request metadata under which an evaluation
// finds its [Session].
const MetadataKey = "assay"

// The keys of an [Inline], a [Policy] and a [Reach].
const (
	inlineKey = MetadataKey + ".inline"
	policyKey = MetadataKey + ".policy"
	reachKey  = MetadataKey + ".reach"
)

// margin is kept free before the deadline of a decision, so that Rego still
// decides and a policy in warn mode still warns.
const margin = 500 * time.Millisecond

// Session holds the answers of one decision: every question is answered once,
// whatever the number of evaluations. It is safe for concurrent use.
type Session struct {
	facts       *Facts
	credentials oci.Credentials
	namespace   string // of the object under review
	roots       trust.Roots
	generation  string // names roots
	now         time.Time

	mu       sync.Mutex
	answers  map[string]answered
	waiting  map[string]question
	order    []string // names of waiting, as they were asked
	blocking bool
	end      time.Time       // of all questions, see early
	judged   time.Time       // end of all policies inside policies, see judging
	runaways map[string]bool // policies inside policies that ran past their time
	notes    *exchange.Notes // nil unless the decision is recorded
}

// question is what a builtin wants to know: of which registry, and how to get it.
type question struct {
	name string // the builtin and its operands
	host string
	// credentials names whoever asks, where that is not the session's tenant.
	credentials string
	// lives is how long the answer may serve other decisions.
	lives time.Duration
	// get answers and says when the answer ends to be true (zero for never), or
	// gives a problem, beside which only a [telling] answer counts.
	get   func(context.Context) (any, time.Time, *declare.Problem)
	blank func(*declare.Problem) any
}

// telling is an answer that says more of a problem than blank does. It is a type of its
// own so that no other answer is given where there is a problem.
type telling struct{ answer any }

// refusal is the answer where there is a problem.
func (q question) refusal(value any, p *declare.Problem) any {
	if told, ok := value.(telling); ok {
		return told.answer
	}
	return q.blank(p)
}

// networked makes a builtin of a question to a registry.
func networked(b declare.Builtin, blank func(*declare.Problem) any,
	prepare func(*Session, []*ast.Term) (question, *declare.Problem),
) declare.Builtin {
	b.Nondeterministic = true
	b.Call = func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		s, ok := bctx.RequestMetadata[MetadataKey].(*Session)
		if !ok {
			return iter(declare.Term(blank(declare.Refuse(declare.Unsupported, b.Name+" needs the engine: there are no facts in this evaluation"))))
		}
		q, p := prepare(s, operands)
		if p != nil {
			return iter(declare.Term(blank(p)))
		}
		if p := reached(bctx, q.host); p != nil {
			return iter(declare.Term(blank(p)))
		}
		q.blank = blank
		q.name = b.Name
		for _, operand := range operands {
			q.name += "\x00" + operand.String()
		}
		if answer := s.ask(bctx.Context, q).term; answer != nil {
			return iter(answer)
		}
		return nil // not known yet: the expression is undefined in this evaluation
	}
	return b
}

// reached is nil where an evaluation may ask a registry. One that was left behind asks
// nothing any more: the decision would wait for it.
func reached(bctx topdown.BuiltinContext, host string) *declare.Problem {
	reach, _ := bctx.RequestMetadata[reachKey].(Reach)
	switch {
	case reach == nil:
		return nil
	case bctx.Context.Err() != nil:
		return declare.Refuse(declare.Timeout, host+" was not asked: the policy took too long")
	case !reach(bctx.Context, host):
		return declare.Refuse(declare.ForbiddenHost, host+": policies in Rego may not ask this registry")
	}
	return nil
}

// Metadata is what every evaluation of the decision hands to the builtins. inline
// asks the modules that the policies of the set brought along, and policy those in
// plain Rego; each is nil where there are none. reach is nil but for the evaluations
// of the latter.
func (s *Session) Metadata(inline Inline, policy Policy, reach Reach) map[string]any {
	return map[string]any{MetadataKey: s, inlineKey: inline, policyKey: policy, reachKey: reach}
}

// Now is the time of the decision, the same for all its evaluations.
func (s *Session) Now() time.Time { return s.now }

// Pending reports whether something was asked that has no answer yet.
func (s *Session) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) > 0
}

// Block makes later questions wait for their answers in place. It is for a
// decision that went on asking past every bound.
func (s *Session) Block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocking = true
}

// ask gives the answer to a question, or none when it has yet to be got.
func (s *Session) ask(ctx context.Context, q question) answered {
	s.mu.Lock()
	answer, known := s.answers[q.name]
	if !known {
		if answer, known = s.facts.known(s.shared(q)); known {
			s.answers[q.name] = answer
		}
	}
	blocking := s.blocking
	if !known && !blocking {
		if _, asked := s.waiting[q.name]; !asked {
			s.waiting[q.name] = q
			s.order = append(s.order, q.name)
		}
	}
	s.mu.Unlock()
	if known {
		s.notes.Seen(q.name, answer.from)
		return answer
	}
	if !blocking {
		return answered{}
	}
	ctx, cancel := s.early(ctx)
	defer cancel()
	answer = s.settle(ctx, q)
	s.notes.Seen(q.name, answer.from)
	return answer
}

// Settle gets what was asked, all at once, and returns when it has every answer
// or the deadline is near; what is missing then is answered by timeout.
//
// Only registries in scope are contacted while anything of theirs is asked for:
// an evaluation that lacks answers may take a branch that the decision will
// not, and must not tell another registry about it. Of the registries out of
// scope only the one is contacted that was asked for first: when that was asked
// nothing was missing yet, so the decision does ask for it.
func (s *Session) Settle(ctx context.Context, scope []string) {
	ctx, cancel := s.early(ctx)
	defer cancel()
	var wait sync.WaitGroup
	for _, q := range s.batch(scope) {
		wait.Go(func() { s.settle(ctx, q) })
	}
	wait.Wait()
}

// batch takes what is to be got now. The rest is asked again, if it is still
// wanted.
func (s *Session) batch(scope []string) (out []question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	take := func(hosts []string) {
		for _, name := range s.order {
			if q := s.waiting[name]; slices.Contains(hosts, q.host) {
				out = append(out, q)
			}
		}
	}
	if take(scope); len(out) == 0 && len(s.order) > 0 {
		take([]string{s.waiting[s.order[0]].host})
	}
	s.waiting, s.order = map[string]question{}, nil
	s.notes.Forget()
	return out
}

// settle gets one answer and keeps it for the decision. The first answer to a
// question stays.
func (s *Session) settle(ctx context.Context, q question) answered {
	answer := s.facts.get(ctx, s.shared(q), q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.answers[q.name]; ok {
		return first
	}
	s.answers[q.name] = answer
	return answer
}

// shared names a question among all decisions: answers serve others with the
// same credentials and the same trust material only.
func (s *Session) shared(q question) string {
	return fmt.Sprintf("%q %q\x00%s\x00%s", s.credentials.ID, q.credentials, s.generation, q.name)
}

// early is the context of questions: it ends a margin before the decision does,
// or after half of the time when that is short. The first question sets that end
// for all: what is asked past it is answered by timeout at once.
func (s *Session) early(ctx context.Context) (context.Context, context.CancelFunc) {
	return s.before(ctx, &s.end, margin)
}

// judging is the context of policies inside policies, which are evaluated when the
// questions have their answers, and so have half of the margin.
func (s *Session) judging(ctx context.Context) (context.Context, context.CancelFunc) {
	return s.before(ctx, &s.judged, margin/2)
}

// judge runs a policy inside a policy, unless it ran past its time in this decision
// before: it is asked for each image and attestation, and what it takes each time
// would be missing for the policies of others. For the same reason it never gets more
// than half of the time that is left, and the less the more of them ran past theirs.
func (s *Session) judge(ctx context.Context, policy string, run func(context.Context) *declare.Problem) *declare.Problem {
	call := s.notes.Call(policy)
	if p := s.facts.given(call); p != nil {
		return p
	}
	p := s.inTime(ctx, policy, run)
	if p != nil && p.Code == declare.Timeout {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.runaways[policy] = true
		s.notes.Unjudged(call, string(p.Code), p.Message)
	}
	return p
}

func (s *Session) inTime(ctx context.Context, policy string, run func(context.Context) *declare.Problem) *declare.Problem {
	s.mu.Lock()
	late, runaways := s.runaways[policy], len(s.runaways)
	s.mu.Unlock()
	if late {
		return declare.Refuse(declare.Timeout, "not evaluated: in this decision it took too long before")
	}
	ctx, cancel := s.judging(ctx)
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
func (s *Session) before(ctx context.Context, end *time.Time, spare time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if end.IsZero() {
		*end = deadline.Add(-min(spare, time.Until(deadline)/2))
	}
	return context.WithDeadline(ctx, *end)
}
