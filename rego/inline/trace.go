package inline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/rego/apart"
)

// The bounds of what [Module.Trace] tells and takes: it is evaluated in the time of
// the decision, which belongs to others as well.
const (
	traceTimeout = 100 * time.Millisecond
	mostTraced   = 6
	mostEntered  = 10_000
	longestLine  = 160
)

// Trace says where the module said no: one text for each rule that did not hold, as
// "RULE:LINE: …", with the line of the source as it was written. The rules of
// isCompliant come first. It evaluates the module once more, tells nothing where
// that takes too long, and changes no verdict.
func (m *Module) Trace(ctx context.Context, document ast.Value, now time.Time) []string {
	if m.program == nil || !apart.Within(document, m.limits.maxInput) {
		return nil
	}
	t := &tracer{entered: map[uint64]*ast.Rule{}, furthest: map[*ast.Rule]*ast.Expr{}, held: map[*ast.Rule]bool{}}
	_, failure := m.program.Evaluate(ctx, apart.Evaluation{What: "isCompliant", Input: document, Now: now, Timeout: traceTimeout, Tracer: t})
	if failure != nil {
		return nil
	}
	return t.tell(m.origins)
}

// tracer notes of each rule how far it came.
type tracer struct {
	entered  map[uint64]*ast.Rule // by query
	order    []*ast.Rule
	furthest map[*ast.Rule]*ast.Expr // the last expression of it that was not true
	held     map[*ast.Rule]bool
}

var _ topdown.QueryTracer = (*tracer)(nil)

// Enabled and Config are as [topdown.QueryTracer] has them.
func (*tracer) Enabled() bool { return true }

// Config wants events without variables.
func (*tracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent notes one step of the evaluation.
func (t *tracer) TraceEvent(event topdown.Event) {
	switch node := event.Node.(type) {
	case *ast.Rule:
		switch event.Op {
		case topdown.EnterOp:
			t.enter(event.QueryID, node)
		case topdown.ExitOp:
			t.held[node] = true
		}
	case *ast.Expr:
		rule := t.entered[event.QueryID]
		if event.Op != topdown.FailOp || rule == nil {
			return
		}
		if before := t.furthest[rule]; before == nil || node.Index > before.Index {
			t.furthest[rule] = node
		}
	}
}

func (t *tracer) enter(query uint64, rule *ast.Rule) {
	if len(t.entered) >= mostEntered {
		return
	}
	t.entered[query] = rule
	for _, known := range t.order {
		if known == rule {
			return
		}
	}
	t.order = append(t.order, rule)
}

func (t *tracer) tell(origins origins) []string {
	var first, rest []string
	for _, rule := range t.order {
		name := nameOf(rule)
		switch expr := t.furthest[rule]; {
		case rule.Default:
		case t.held[rule] && name == "isCompliant":
			row, _ := origins.of(rule.Location)
			first = append(first, fmt.Sprintf("%s:%d: answered", name, row))
		case t.held[rule] || expr == nil:
		default:
			row, text := origins.of(expr.Location)
			line := fmt.Sprintf("%s:%d: not true: %s", name, row, oneLine(text))
			if name == "isCompliant" {
				first = append(first, line)
			} else {
				rest = append(rest, line)
			}
		}
	}
	out := append(first, rest...)
	return out[:min(len(out), mostTraced)]
}

// nameOf is the last word of a rule's name in its package.
func nameOf(rule *ast.Rule) string {
	words := strings.FieldsFunc(rule.Head.Ref()[0].String(), func(r rune) bool { return r == '.' })
	return words[len(words)-1]
}

// oneLine is the first line of an expression, cut. What it says on further lines is
// in the source.
func oneLine(text string) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.TrimSpace(line)
	if len(line) > longestLine {
		line, more = strings.ToValidUTF8(line[:longestLine], ""), true
	}
	if more {
		line += " …"
	}
	return line
}

// origins are the places of the source from which those of the printed text come, by
// row and column.
type origins map[[2]int]*ast.Location

func (o origins) of(printed *ast.Location) (row int, text string) {
	if printed == nil {
		return 0, ""
	}
	if origin := o[[2]int{printed.Row, printed.Col}]; origin != nil {
		return origin.Row, string(origin.Text)
	}
	return printed.Row, string(printed.Text)
}

// originsOf walks two modules that say the same, rule by rule.
func originsOf(source, printed *ast.Module) origins {
	was, is := locations(source), locations(printed)
	out := origins{}
	if len(was) != len(is) {
		return out
	}
	for i, location := range is {
		if location != nil && was[i] != nil {
			out[[2]int{location.Row, location.Col}] = was[i]
		}
	}
	return out
}

// locations are those of all rules and expressions, in the order of text.
func locations(module *ast.Module) []*ast.Location {
	var out []*ast.Location
	for _, rule := range module.Rules {
		ast.WalkRules(rule, func(rule *ast.Rule) bool {
			out = append(out, rule.Location)
			return false
		})
		ast.WalkExprs(rule, func(expr *ast.Expr) bool {
			out = append(out, expr.Location)
			return false
		})
	}
	return out
}
