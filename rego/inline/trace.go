package inline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
)

// The bounds of what [Module.Trace] tells and takes: it is evaluated in the time of
// the decision, which belongs to others as well.
const (
	traceTimeout = 100 * time.Millisecond
	mostTraced   = 6
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
	trace := apart.NewTrace()
	_, failure := m.program.Evaluate(ctx, apart.Evaluation{
		What: "isCompliant", Input: document, Now: now, Timeout: traceTimeout, Tracer: trace, Everything: true,
	})
	if failure != nil {
		return nil
	}
	return m.origins.tell(trace.Rules())
}

// tell writes what was traced, isCompliant first.
func (o origins) tell(rules []*apart.Traced) []string {
	var first, rest []string
	for _, traced := range rules {
		name := nameOf(traced.Rule)
		switch {
		case traced.Rule.Default:
		case traced.Held && name == "isCompliant":
			row, _ := o.of(traced.Rule.Location)
			first = append(first, fmt.Sprintf("%s:%d: answered", name, row))
		case traced.Held || traced.Furthest == nil:
		default:
			row, text := o.of(traced.Furthest.Location)
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
