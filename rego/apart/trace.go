package apart

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// mostEntered bounds how many bodies of rules a [Trace] follows: a function may be
// called as often as there are elements.
const mostEntered = 10_000

// Trace is the Tracer of an [Evaluation] that notes of each rule how far it came. It
// is that evaluation's own, and is to be read when the evaluation has ended well.
type Trace struct {
	entered map[uint64]*ast.Rule // by query
	rules   []*Traced
	known   map[*ast.Rule]*Traced
}

// Traced is one rule whose body was begun.
type Traced struct {
	Rule *ast.Rule
	// Held says that the body held, at least once.
	Held bool
	// Furthest is the last of its expressions that was not true, nil for none.
	Furthest *ast.Expr
}

var _ topdown.QueryTracer = (*Trace)(nil)

// NewTrace makes an empty one.
func NewTrace() *Trace {
	return &Trace{entered: map[uint64]*ast.Rule{}, known: map[*ast.Rule]*Traced{}}
}

// Rules are the rules in the order in which they were begun.
func (t *Trace) Rules() []*Traced { return t.rules }

// Enabled and Config are as [topdown.QueryTracer] has them.
func (*Trace) Enabled() bool { return true }

// Config wants events without variables.
func (*Trace) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent notes one step of the evaluation.
func (t *Trace) TraceEvent(event topdown.Event) {
	switch node := event.Node.(type) {
	case *ast.Rule:
		switch event.Op {
		case topdown.EnterOp:
			t.enter(event.QueryID, node)
		case topdown.ExitOp:
			if traced := t.known[node]; traced != nil {
				traced.Held = true
			}
		}
	case *ast.Expr:
		traced := t.known[t.entered[event.QueryID]]
		if event.Op == topdown.FailOp && traced != nil && (traced.Furthest == nil || node.Index > traced.Furthest.Index) {
			traced.Furthest = node
		}
	}
}

func (t *Trace) enter(query uint64, rule *ast.Rule) {
	if len(t.entered) >= mostEntered {
		return
	}
	t.entered[query] = rule
	if t.known[rule] == nil {
		t.known[rule] = &Traced{Rule: rule}
		t.rules = append(t.rules, t.known[rule])
	}
}
