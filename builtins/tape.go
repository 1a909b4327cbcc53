package builtins

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// notes are what a session notes of a decision that is recorded.
type notes struct {
	// Of the latest evaluation: logs by question, how often policies inside policies were
	// asked, and which of those calls had no verdict for lack of time.
	logs   map[string]*exchange.Log
	calls  map[string]int
	judged []exchange.Given

	pulls []exchange.Pulled
}

// forget leaves an evaluation that is thrown away behind.
func (n *notes) forget() { n.logs, n.calls, n.judged = nil, nil, nil }

// Tape is what a decision was made from, but for the review and the policies.
type Tape struct {
	exchange.Tape
	// Now is the time of the decision, Namespace that of its object.
	Now       time.Time
	Namespace string
	Roots     trust.Roots
}

// Tape gives what was noted of the answers that the latest evaluation saw. Requires
// Options.Record, and that the decision is made.
func (s *Session) Tape() Tape {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Tape{
		Tape: exchange.Tape{
			Session: s.credentials.ID, Logs: slices.Collect(maps.Values(s.noted.logs)),
			Judged: s.noted.judged, Pulled: s.noted.pulls,
		},
		Now: s.now, Namespace: s.namespace, Roots: s.roots,
	}
}

// note takes down that an answer was seen. Requires the session's lock.
func (s *Session) note(key string, a answered) {
	if a.from == nil {
		return
	}
	if s.noted.logs == nil {
		s.noted.logs = map[string]*exchange.Log{}
	}
	s.noted.logs[key] = a.from
}

// pulled takes down what pull secrets came to.
func (s *Session) pulled(names []string, credentials oci.Credentials, err error) {
	if !s.facts.options.Record {
		return
	}
	p := exchange.Pulled{Namespace: s.namespace, Names: names, As: credentials.ID}
	if err != nil {
		wrong := problemOf(err)
		p.Error = &exchange.Refusal{Code: string(wrong.Code), Message: wrong.Message}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.noted.pulls, func(q exchange.Pulled) bool { return slices.Equal(p.Names, q.Names) }) {
		s.noted.pulls = append(s.noted.pulls, p)
	}
}

// calls names a call of a policy inside a policy: the first of the evaluation, the
// second, …. Equal decisions make equal calls, so that one which had no time can be
// found again. It is empty where nobody will look for it.
func (s *Session) calls(policy string) string {
	if !s.facts.options.Record {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted.calls == nil {
		s.noted.calls = map[string]int{}
	}
	s.noted.calls[policy]++
	return policy + "\x00" + strconv.Itoa(s.noted.calls[policy])
}

// unjudged takes down that a policy inside a policy had no verdict for lack of time.
// Requires the session's lock.
func (s *Session) unjudged(call string, p *declare.Problem) {
	if s.facts.options.Record {
		s.noted.judged = append(s.noted.judged, exchange.Given{Question: exchange.Name(call), Code: string(p.Code), Message: p.Message})
	}
}

// gave answers a question without asking anybody.
func (f *Facts) gave(q question, p *declare.Problem) answered {
	out := answered{term: declare.Term(q.blank(p))}
	if f.options.Record {
		out.from = exchange.Gave(q.name, string(p.Code), p.Message)
	}
	return out
}

// given is what a question was answered when the decision was recorded, nil where it
// is to be asked.
func (f *Facts) given(question string) *declare.Problem {
	if f.options.Given == nil {
		return nil
	}
	if given := f.options.Given(question); given != nil {
		return declare.Refuse(declare.Code(given.Code), given.Message)
	}
	return nil
}
