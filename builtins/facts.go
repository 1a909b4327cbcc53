package builtins

import (
	"context"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/singleflight"

	"github.com/assay-dev/assay/builtins/admitted"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/keep"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/builtins/verdicts"
)

// Registry is what the builtins want of registries; [oci.Client] has it.
type Registry = exchange.Registry

// The bound of the answers, in bytes. A small one takes a few kilobytes; one
// with a statement takes about ten times its JSON as a term of OPA.
const (
	mostAnswerBytes = 64 << 20
	termOverhead    = 10
)

// Options are the settings of an installation.
type Options struct {
	// AnchoredIdentities makes identity expressions match the whole value.
	AnchoredIdentities bool
	// FetchTimeout bounds one question to a registry, whoever waits for it.
	// Zero is 10 seconds.
	FetchTimeout time.Duration
	// Tenants finds the credentials of workloads, and those that policies name. Nil is
	// an installation without Secrets.
	Tenants tenant.Source
	// CUE decides CUE policies. Its limits are those of the process, so that what
	// runs past its time counts on when policies are read again. Nil is a new one.
	CUE *cue.Evaluator
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Observer is told of what takes time, and Looked counts what need not; nil is nobody.
	Observer observe.Observer
	Looked   *Looked
	// Record keeps with each answer what registries said to it, for the [Session.Tape]
	// of every decision that the answer serves.
	Record bool
	// Given is what a question was answered, or a call of a policy inside a policy, for
	// lack of time when the decision was recorded that is made again. It needs Record.
	// Nil is a decision that is made for the first time.
	Given func(question string) *exchange.Given
	// Verified are facts whose verdicts these share, each under all that it depends on; nil for none.
	Verified *Facts
}

// Looked counts what was looked for among the answers of all decisions, the verdicts, and
// the answers about admitted images.
type Looked struct{ Answers, Verdicts, Admitted keep.Looked }

// answered is an answer with what it was made from, nil unless that is recorded.
type answered struct {
	term *ast.Term
	from *exchange.Log
	code declare.Code // why there is no better one
	// What updates may make of it that leave an image as it is.
	standing admitted.Standing
	until    time.Time // when it could change by time alone, zero for never
	cost     int64
}

// same says that no evaluation can tell two answers apart, now or later.
func (a answered) same(b answered) bool {
	return a.code == b.code && a.until.Equal(b.until) && a.term.Equal(b.term)
}

// Facts answers the builtins of all decisions: it fetches, verifies, and keeps
// what may serve again. It is safe for concurrent use.
type Facts struct {
	registry Registry
	roots    func() trust.Roots
	options  Options

	flights  *singleflight.Group
	answers  *keep.Cache[answered]
	verdicts *verdicts.Store
	admitted *admitted.Store[answered]
}

// New makes the facts of a registry and of trust material. roots is asked once
// for each decision, so that material which is refreshed in the background
// changes between decisions and never within one.
func New(registry Registry, roots func() trust.Roots, options Options) (*Facts, error) {
	if registry == nil || roots == nil {
		return nil, fmt.Errorf("facts need a registry and trust roots")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.FetchTimeout == 0 {
		options.FetchTimeout = 10 * time.Second
	}
	if options.CUE == nil {
		evaluator, err := cue.New(cue.Options{})
		if err != nil {
			return nil, err
		}
		options.CUE = evaluator
	}
	if options.Looked == nil {
		options.Looked = &Looked{}
	}
	if options.Record {
		registry = exchange.Recording(registry)
	}
	out := &Facts{
		registry: registry, options: options, flights: &singleflight.Group{},
		answers:  keep.New[answered](mostAnswerBytes).Counted(&options.Looked.Answers),
		verdicts: verdicts.New(&options.Looked.Verdicts),
	}
	if options.Verified != nil {
		out.verdicts = options.Verified.verdicts
	}
	return out.For(roots, options.Tenants), nil
}

// For makes the facts of another policy set, of the same registry and with the same options.
// What decisions of one were answered, and what was verified, serves those of all: it is kept
// under the credentials and the trust roots, and nothing else of a set has a part in it. What
// was answered about admitted images stays with the set that admitted them.
func (f *Facts) For(roots func() trust.Roots, tenants tenant.Source) *Facts {
	if tenants == nil {
		tenants = tenant.Given(nil)
	}
	out := *f
	out.roots, out.options.Tenants = roots, tenants
	out.admitted = admitted.New(&f.options.Looked.Admitted, answered.same)
	return &out
}

// Open starts the answers of one decision about a workload. installation are the
// credentials for whatever [Options.Tenants] has none for.
func (f *Facts) Open(installation oci.Credentials, about tenant.Workload) *Session {
	roots := f.roots()
	s := &Session{
		facts: f, roots: roots, generation: roots.Generation(), now: f.options.Now().UTC(),
		answers: map[string]answered{}, learns: map[string]learning{}, waiting: map[string]question{}, notes: exchange.NewNotes(),
	}
	s.tenants = tenant.NewDesk(f.options.Tenants, about, installation, s.pulled)
	return s
}

// known gives an answer that another decision got and that still serves.
func (f *Facts) known(key string) (answered, bool) { return f.answers.Get(key, f.options.Now()) }

// get answers a question on behalf of somebody. Decisions that ask the same at the same time share
// one answer, which is got on a context of its own: who leaves early leaves
// alone.
func (f *Facts) get(ctx context.Context, key string, as oci.Credentials, q question) answered {
	late := func() answered {
		return f.gave(q, declare.Refuse(declare.Timeout, q.host+" did not answer in time"))
	}
	if ctx.Err() != nil {
		return late()
	}
	if p := f.given(q.name); p != nil {
		return f.gave(q, p)
	}
	if answer, ok := f.known(key); ok { // who asks may not have been known before
		return answer
	}
	f.options.Looked.Answers.Miss()
	within := f.within(ctx)
	flight := f.flights.DoChan(fmt.Sprint(within.Round(time.Second), key), func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		return f.fetch(own, key, as, q), nil
	})
	select {
	case result := <-flight:
		return result.Val.(answered)
	case <-ctx.Done():
		return late()
	}
}

// landing is what is left between the end of a fetch and that of who waits for
// it: what was got by then is verified and answered, though a layer may hang.
const landing = 250 * time.Millisecond

// within is how long a fetch may take. Only who waits about as long shares it.
func (f *Facts) within(ctx context.Context) time.Duration {
	out := f.options.FetchTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		out = min(out, left-min(landing, left/4))
	}
	return out
}

// notThereLives is how long "not found" and "no signatures" serve: a signature
// is often pushed a moment after the image.
const notThereLives = 2 * time.Second

func (f *Facts) fetch(ctx context.Context, key string, as oci.Credentials, q question) (out answered) {
	// A panic here would be nobody's: the flight is not of any request.
	defer func() {
		if cause := recover(); cause != nil {
			out = f.gave(q, declare.Refuse(declare.Malformed, fmt.Sprintf("answer panicked: %.80v", cause)))
		}
	}()
	if f.options.Record {
		out.from = exchange.NewLog(q.name)
		ctx = exchange.Into(ctx, out.from)
	}
	value, until, p := q.get(ctx, as)
	lives := q.lives
	if p != nil {
		value, out.code = q.refusal(value, p), p.Code
	}
	out.standing = admitted.StandingOf(p)
	switch {
	case p == nil:
	case p.Kept():
		lives = notThereLives
	default:
		out.term = declare.Term(value)
		return out
	}
	var size int64
	out.term, size = declare.Sized(value)
	out.until, out.cost = until, termOverhead*size+out.from.Cost()
	// The clock is read after the fetch, which may have taken its time: an answer
	// serves no longer than what it says is true.
	if end := f.options.Now().Add(lives); until.IsZero() || end.Before(until) {
		until = end
	}
	f.answers.Put(key, keep.Lasting[answered]{Value: out, Until: until, Cost: out.cost})
	return out
}
