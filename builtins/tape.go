package builtins

import (
	"time"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
)

// Tape is what a decision was made from, but for the review and the policies.
type Tape struct {
	exchange.Tape
	// Now is the time of the decision.
	Now   time.Time
	Roots trust.Roots
}

// Tape gives what was noted of the answers that the latest evaluation saw. Requires
// Options.Record, and that the decision is made.
func (s *Session) Tape() Tape {
	return Tape{Tape: s.notes.Tape(s.tenants.Own()), Now: s.now, Roots: s.roots}
}

// Answers tells what the latest evaluation was answered: terms of OPA, by builtin and operands.
func (s *Session) Answers(tell func(question string, answer any, cost int64)) { s.notes.Answers(tell) }

// Holds estimates the memory that the notes of a session hold, in bytes.
func (s *Session) Holds() int64 { return s.notes.Cost() }

// pulled notes what the pull secrets came to that a policy names.
func (s *Session) pulled(asker tenant.Asker, credentials oci.Credentials, err error) {
	if asker.Named == nil {
		return
	}
	p := exchange.Pulled{Namespace: asker.Namespace, Names: asker.Named, As: credentials.ID}
	if err != nil {
		wrong := problemOf(err)
		p.Error = &exchange.Refusal{Code: string(wrong.Code), Message: wrong.Message}
	}
	s.notes.Pulled(p)
}

// gave answers a question without asking anybody.
func (f *Facts) gave(q question, p *declare.Problem) answered {
	out := answered{term: declare.Term(q.blank(p)), code: p.Code}
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
