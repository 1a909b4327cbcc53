package recording

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/apart"
)

// Shadow judges decisions that were just made by other policies, one at a time, from what
// those decisions saw and from nothing else. It is a [Judge] without capsules: nothing is
// written, masked or read again.
//
// It shares nothing with the set that serves, neither what was compiled nor what bounds
// evaluations that run past their time: what a candidate does, it does to itself.
type Shadow struct {
	set      *rego.Set
	policies Policies
	cut      []string
	beside   Beside
	cue      *cue.Evaluator
	verified *builtins.Facts // asked for verdicts alone
	// Of the decision under way.
	open       func(rego.Workload) rego.Answers
	namespaces *rego.Namespaces
}

// Beside is the installation that a [Shadow] judges beside.
type Beside struct {
	// AnchoredIdentities is how its identity expressions match.
	AnchoredIdentities bool
	// Fetch gets facts that a decision did not see. Nil asks nobody.
	Fetch *Fetch
}

// Fetch is how facts are asked for: as the installation asks for those of its decisions.
type Fetch struct {
	Registry exchange.Registry
	// Tenants knows the credentials of workloads, and Credentials are those of the
	// installation.
	Tenants     func() tenant.Source
	Credentials oci.Credentials
	// Timeout bounds one question, see builtins.Options.
	Timeout time.Duration
	// Allowance is how much may be asked.
	Allowance Allowance
}

// Allowance counts questions to registries.
type Allowance interface {
	// Left reports whether there is any.
	Left() bool
	// Take reports whether one more question may be asked, and counts it.
	Take() bool
}

// NewShadow compiles policies. The namespaces of their source are those of a cluster if
// it has any, and [Shadow.Judge] is given them.
func NewShadow(ctx context.Context, policies Policies, beside Beside) (s *Shadow, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("compiling panicked: %.200v", cause)
		}
	}()
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		return nil, err
	}
	s = &Shadow{policies: policies, beside: beside, cue: evaluator}
	nothing := exchange.Tape{}.Replay()
	if s.verified, err = builtins.New(nothing, func() trust.Roots { return trust.Roots{} }, builtins.Options{CUE: evaluator}); err != nil {
		return nil, err
	}
	source, cut := closed(policies.Source, apart.Reaching())
	source.Open = func(about rego.Workload) rego.Answers { return s.open(about) }
	if source.Namespaces != nil {
		source.Namespaces = func() *rego.Namespaces { return s.namespaces }
	}
	source.Load, source.Before, source.Explains = nil, nil, false
	s.cut = cut
	s.set, err = rego.Compile(ctx, source)
	return s, err
}

// Hash names the policies.
func (s *Shadow) Hash() string { return s.set.Hash() }

// Set is what the policies were compiled to. It answers nobody but the shadow.
func (s *Shadow) Set() *rego.Set { return s.set }

// Judge judges a decision. known are the namespaces of the cluster when it was made. It
// gives the time that was worked as well, all that worked at once added up. An error is
// that there is no judgment.
func (s *Shadow) Judge(ctx context.Context, made rego.Made, known *rego.Namespaces) (out Judged, worked time.Duration, err error) {
	spent, began := &work{}, time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("judging panicked: %.200v", cause)
		}
		worked = max(time.Since(began), time.Duration(spent.took.Load()))
	}()
	session, ok := made.Answers.(*builtins.Session)
	if !ok {
		return out, 0, fmt.Errorf("answers: got %T, want a session", made.Answers)
	}
	if s.namespaces = known; made.Read != nil && (known == nil || !known.Says(made.Read)) {
		s.namespaces = made.Read.Namespaces() // a label changed meanwhile: only what was read is known
	}
	tape := session.Tape()
	out, asks, err := s.judge(ctx, made, tape, spent, nil)
	if fetch := s.beside.Fetch; err == nil && asks && fetch != nil && fetch.Allowance.Left() {
		out, _, err = s.judge(ctx, made, tape, spent, fetch)
	}
	out.NotRecorded = append(out.NotRecorded, s.cut...)
	return out, 0, err
}

// judge says besides whether registries were asked what they had not been asked.
func (s *Shadow) judge(ctx context.Context, made rego.Made, tape builtins.Tape, spent *work, fetch *Fetch) (out Judged, asks bool, err error) {
	replay := tape.Replay()
	options := builtins.Options{
		AnchoredIdentities: s.beside.AnchoredIdentities, CUE: s.cue, Tenants: tenant.Named(replay.PullSecrets),
		Now: func() time.Time { return tape.Now }, Observer: spent, Record: true, Verified: s.verified,
	}
	whose := func(about rego.Workload) oci.Credentials {
		if s.another(ctx, about, made) {
			return oci.Credentials{ID: "not recorded"}
		}
		return oci.Credentials{ID: tape.Session}
	}
	if fetch != nil {
		replay.Asking(fetch.Registry, fetch.Allowance.Take)
		options.Tenants, options.FetchTimeout = fetch.Tenants(), fetch.Timeout
		whose = func(rego.Workload) oci.Credentials { return fetch.Credentials }
	}
	roots := over(tape.Roots, s.policies.Roots)
	facts, err := builtins.New(replay, func() trust.Roots { return roots }, options)
	if err != nil {
		return out, false, err
	}
	s.open = func(about rego.Workload) rego.Answers {
		session := facts.Open(whose(about), tenant.Workload(about))
		if fetch == nil { // every answer is at hand: one evaluation has them all, one after the other
			session.Block()
		}
		return session
	}
	out, again, err := decide(ctx, s.set, "validate", made.Review)
	for _, pass := range again.Passes {
		spent.took.Add(int64(pass.Took))
	}
	return out, len(out.NotRecorded) > len(again.Missing), err
}

// another says whether the review is about another workload to these policies than it was
// to those that decided: it would ask with other credentials.
func (s *Shadow) another(ctx context.Context, about rego.Workload, made rego.Made) bool {
	if reflect.DeepEqual(s.policies.Source.Workloads, made.Set.Source().Workloads) {
		return false
	}
	was, err := made.Set.About(ctx, made.Review)
	was.Path = about.Path // which is for messages
	return err != nil || !reflect.DeepEqual(was, about)
}

// work adds up what questions take, which are answered at once.
type work struct{ took atomic.Int64 }

// Begin implements [observe.Observer].
func (w *work) Begin(ctx context.Context, of observe.Work) (context.Context, observe.End) {
	if of.Stage != observe.Fact {
		return ctx, func(string) {}
	}
	began := time.Now()
	return ctx, func(string) { w.took.Add(int64(time.Since(began))) }
}
