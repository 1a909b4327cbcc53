package inline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Code says what kind of [Failure] it is; the codes are those of the builtins.
type Code string

// The codes.
const (
	// Timeout: the evaluation reached its deadline, or that of its context.
	Timeout Code = "timeout"
	// TooLarge: the document, or the value, is larger than its bound.
	TooLarge Code = "too_large"
	// Malformed: the module contradicts itself on this document.
	Malformed Code = "malformed"
)

// Failure is why an evaluation has no value. It is its own module's only.
type Failure struct {
	Code    Code
	Message string
}

// program is a compiled module and the query for its answer. The query is empty
// where isCompliant is a function, which has no value.
type program struct {
	compiler *ast.Compiler
	query    ast.Body
	store    storage.Store
	builtins map[string]*topdown.Builtin
}

// answer is the variable that has the value of the query.
const answer = ast.Var("answer")

func prepare(compiler *ast.Compiler, own ast.Ref) (*program, error) {
	entry := own.Append(ast.StringTerm("isCompliant"))
	p := &program{compiler: compiler, store: inmem.New(), builtins: bounded()}
	for _, module := range compiler.Modules {
		bind(module)
	}
	for _, rule := range compiler.GetRulesExact(entry) {
		if len(rule.Head.Args) > 0 {
			return p, nil
		}
	}
	query, err := compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(answer), ast.NewTerm(entry))))
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	p.query = query
	return p, nil
}

// Evaluate asks for isCompliant with a document as input, at a time. It returns
// the value as the module made it, whatever its type, and nil when that is
// undefined: no rule applies, a builtin failed in it (as upstream has it), there
// is no isCompliant, or it is a function.
//
// The document is read, also for a moment after Evaluate has returned for lack of
// time; it must not be changed.
func (m *Module) Evaluate(ctx context.Context, document ast.Value, now time.Time) (ast.Value, *Failure) {
	if !within(document, m.limits.maxInput) {
		return nil, &Failure{TooLarge, fmt.Sprintf("document: got more than %d bytes of JSON", m.limits.maxInput)}
	}
	if m.program.query == nil {
		return nil, nil
	}
	if late := m.late.Load(); late >= maxLate {
		return nil, &Failure{Timeout, fmt.Sprintf("evaluation did not begin: %d of this policy still run past their time", late)}
	}
	ctx, cancel := context.WithTimeout(ctx, m.limits.timeout)
	defer cancel()
	select {
	case m.running <- struct{}{}:
	case <-ctx.Done():
		return nil, &Failure{Timeout, fmt.Sprintf("evaluation did not begin: %d of this policy are running", len(m.running))}
	}
	stop := &purse{topdown.NewCancel(), mostMade}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-m.running }()
		done <- m.program.run(ctx, stop, document, now)
	}()
	select {
	case out := <-done:
		return out.value, out.failure
	case <-ctx.Done():
		stop.Cancel()
		m.late.Add(1)
		go func() {
			<-done
			m.late.Add(-1)
		}()
		return nil, failureOf(ctx.Err())
	}
}

type outcome struct {
	value   ast.Value
	failure *Failure
}

// run evaluates the query once. OPA does not recover from panics of builtins.
func (p *program) run(ctx context.Context, stop *purse, document ast.Value, now time.Time) (out outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			out = outcome{failure: &Failure{Malformed, fmt.Sprintf("evaluation panicked: %v", cause)}}
		}
	}()
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return outcome{failure: failureOf(err)}
	}
	defer p.store.Abort(ctx, txn)
	query := topdown.NewQuery(p.query).
		WithCompiler(p.compiler).
		WithStore(p.store).
		WithTransaction(txn).
		WithInput(ast.NewTerm(document)).
		WithTime(now).
		WithBuiltins(p.builtins).
		WithCancel(stop)
	err = query.Iter(ctx, func(result topdown.QueryResult) error {
		out.value = result[answer].Value
		return nil
	})
	switch {
	case ctx.Err() != nil:
		// A builtin that its context ended is only undefined, and what is not
		// undefined might then hold: an evaluation that was cut short has no value.
		return outcome{failure: failureOf(ctx.Err())}
	case err != nil:
		return outcome{failure: failureOf(err)}
	case out.value != nil && !within(out.value, maxValue):
		return outcome{failure: &Failure{TooLarge, fmt.Sprintf("isCompliant: got more than %d bytes of JSON", maxValue)}}
	}
	return out
}

func failureOf(err error) *Failure {
	switch {
	case errors.Is(err, context.Canceled):
		return &Failure{Timeout, "evaluation was canceled"}
	case topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded):
		return &Failure{Timeout, "evaluation took too long"}
	case errors.Is(err, errMade):
		return &Failure{TooLarge, err.Error()}
	default:
		return &Failure{Malformed, err.Error()}
	}
}
