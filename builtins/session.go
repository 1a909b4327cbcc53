package builtins

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/admitted"
	"github.com/assay-dev/assay/builtins/budget"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/policies"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
)

// MetadataKey is the key of the request metadata under which an evaluation
// finds its [Session].
const MetadataKey = policies.JudgeKey

// reachKey is the key of a [Reach].
const reachKey = MetadataKey + ".reach"

// Reach says whether an evaluation may ask a registry. It is of policies in plain Rego,
// whose authors choose no hosts; without one every registry may be asked that the edge
// admits.
type Reach = func(ctx context.Context, host string) bool

// Session holds the answers of one decision: every question is answered once,
// whatever the number of evaluations. It is safe for concurrent use.
type Session struct {
	facts      *Facts
	tenants    *tenant.Desk
	roots      trust.Roots
	generation string // names roots
	now        time.Time

	mu       sync.Mutex
	answers  map[string]answered
	learns   map[string]learning // of answers, by the same names
	unmoved  map[string]bool     // images about which may be recalled what was answered before
	scope    admitted.Scope      // under which
	waiting  map[string]question
	order    []string // names of waiting, as they were asked
	blocking bool
	notes    *exchange.Notes
	budget   budget.Budget
}

// question is what a builtin wants to know: of which registry, and how to get it.
type question struct {
	name string // the builtin and its operands
	host string
	// about is the image that the answer is about, by digest, where it may serve again to
	// updates that leave the image as it is.
	about string
	// named are the Secrets of who asks, nil where that is the workload itself.
	named []string
	// lives is how long the answer may serve other decisions.
	lives time.Duration
	// get answers and says when the answer ends to be true (zero for never), or
	// gives a problem, beside which only a [telling] answer counts.
	get   func(context.Context, oci.Credentials) (any, time.Time, *declare.Problem)
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
func (s *Session) Metadata(inline policies.Inline, policy policies.Policy, reach Reach) map[string]any {
	out := map[string]any{MetadataKey: s, reachKey: reach}
	policies.Metadata(out, inline, policy)
	return out
}

var _ policies.Judge = (*Session)(nil)

// CUE implements [policies.Judge].
func (s *Session) CUE() *cue.Evaluator { return s.facts.options.CUE }

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
		// Whose answer it is has to be known first.
		if as, ok, err := s.tenants.AtHand(q.named); ok && err == nil {
			shared := s.shared(q, as)
			if answer, known = s.facts.known(shared); known {
				s.answers[q.name] = answer
			}
			s.learns[q.name] = learning{q.about, shared}
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
		s.notes.Seen(q.name, answer.term, answer.cost, answer.from)
		return answer
	}
	if !blocking {
		return answered{}
	}
	ctx, cancel := s.budget.Asking(ctx)
	defer cancel()
	answer = s.settle(ctx, q)
	s.notes.Seen(q.name, answer.term, answer.cost, answer.from)
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
	ctx, cancel := s.budget.Asking(ctx)
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
	builtin, _, _ := strings.Cut(q.name, "\x00")
	ctx, end := observe.Begin(ctx, s.facts.options.Observer, observe.Work{Stage: observe.Fact, Name: builtin, Host: q.host})
	answer := s.answer(ctx, q)
	end(string(answer.code))
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.answers[q.name]; ok {
		return first
	}
	s.answers[q.name] = answer
	return answer
}

// answer gets an answer, once it is known on whose behalf.
func (s *Session) answer(ctx context.Context, q question) answered {
	as, err := s.tenants.Find(ctx, q.named)
	if err != nil {
		p := problemOf(err)
		return s.facts.gave(q, declare.Refuse(p.Code, s.tenants.Without(q.named, p.Message)))
	}
	shared := s.shared(q, as)
	if answer, ok := s.recalled(q, shared); ok {
		return answer
	}
	return s.facts.get(ctx, shared, as, q)
}

// shared names a question among all decisions: answers serve others with the
// same credentials and the same trust material only. What a digest names is the
// same whatever is trusted.
func (s *Session) shared(q question, as oci.Credentials) string {
	generation := s.generation
	if q.lives == digestLives {
		generation = ""
	}
	return fmt.Sprintf("%q\x00%s\x00%s", as.ID, generation, q.name)
}

// Judge implements [policies.Judge], see [budget.Budget.Judge].
func (s *Session) Judge(ctx context.Context, policy string, run func(context.Context) *declare.Problem) *declare.Problem {
	call := s.notes.Call(policy)
	if p := s.facts.given(call); p != nil {
		return p
	}
	p := s.budget.Judge(ctx, policy, run)
	if p != nil && p.Code == declare.Timeout {
		s.notes.Unjudged(call, string(p.Code), p.Message)
	}
	return p
}
