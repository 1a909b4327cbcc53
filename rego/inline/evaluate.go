package inline

import (
	"context"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/apart"
)

// prepare makes the program that asks for isCompliant, nil where that is a function.
func prepare(compiler *ast.Compiler, own ast.Ref) (*apart.Program, error) {
	entry := own.Append(ast.StringTerm("isCompliant"))
	for _, rule := range compiler.GetRulesExact(entry) {
		if len(rule.Head.Args) > 0 {
			return nil, nil
		}
	}
	return apart.Prepare(compiler, inmem.New(), ast.NewTerm(entry))
}

// Evaluate asks for isCompliant with a document as input, at a time. It returns
// the value as the module made it, whatever its type, and nil when that is
// undefined: no rule applies, a builtin failed in it (as upstream has it), there
// is no isCompliant, or it is a function.
//
// The document is read, also for a moment after Evaluate has returned for lack of
// time; it must not be changed.
func (m *Module) Evaluate(ctx context.Context, document ast.Value, now time.Time) (ast.Value, *apart.Failure) {
	if !apart.Within(document, m.limits.maxInput) {
		return nil, &apart.Failure{Code: apart.TooLarge, Message: fmt.Sprintf("document: got more than %d bytes of JSON", m.limits.maxInput)}
	}
	if m.program == nil {
		return nil, nil
	}
	return m.program.Evaluate(ctx, apart.Evaluation{What: "isCompliant", Input: document, Now: now, Timeout: m.limits.timeout})
}
