// Package apart evaluates Rego that somebody else wrote, apart from everything
// else, and within bounds.
//
// OPA knows no tenants. One conflict ends the query it happens in, and capabilities
// and cancellation are those of a query. So whatever brings Rego along (a
// ClusterImagePolicy in rego/inline, a policy in Rego in rego/raw) has a compiler
// and a query of its own, a [Program], and what goes wrong in it is a [Failure] of
// it alone.
//
// An evaluation is bounded in time, in the size of its value, in what the builtins
// make that make much of little (see memory.go), and in how many of one program run
// at once. What else it takes of memory is bounded by its time alone, since OPA has
// no such limit. A builtin that does not look at the clock is left behind at the
// deadline, and runs to its end in the background: [Unbounded] are those for which
// no end is in sight.
package apart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/resolver"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// Bounds.
const (
	// Timeout is a hundred times what a policy takes to walk the largest document,
	// as the machine may be busy, and a fifth of a webhook's ten seconds.
	Timeout = 2 * time.Second
	// CompileTimeout is for the longest source on a busy machine: ten thousand rules
	// take a second of CPU time.
	CompileTimeout = 30 * time.Second
	// MaxDepth bounds the nesting of brackets in a source. People nest a dozen deep.
	MaxDepth = 200
	// maxValue bounds what a policy answers, messages included.
	maxValue = 1 << 20
	// maxAtOnce bounds the evaluations of one program, those included that were left
	// behind at their deadline: one that hangs soon hangs nobody else.
	maxAtOnce = 16
	// maxLate bounds those that were left behind alone: an evaluation ends a moment
	// after its deadline, or is in something that does not look at the clock and may
	// take a processor for ever.
	maxLate = 4
)

// Code says what kind of [Failure] it is; the codes are those of the builtins.
type Code string

// The codes.
const (
	// Late: the evaluation reached its deadline, or that of its context.
	Late Code = "timeout"
	// TooLarge: the document, or the value, is larger than its bound.
	TooLarge Code = "too_large"
	// Malformed: the program contradicts itself on this document.
	Malformed Code = "malformed"
)

// Failure is why an evaluation has no value. It is its own program's only.
type Failure struct {
	Code    Code
	Message string
}

// Program is a query and what it was compiled with. It is immutable and safe for
// concurrent use.
type Program struct {
	compiler *ast.Compiler
	query    ast.Body
	store    storage.Store
	builtins map[string]*topdown.Builtin
	running  chan struct{}
	late     atomic.Int32
}

// answer is the variable that has the value of the query.
const answer = ast.Var("answer")

// Prepare makes a program that gives the value of a term, nil where it is undefined.
// It takes the compiler over: its modules call the bounded builtins from now on.
func Prepare(compiler *ast.Compiler, store storage.Store, value *ast.Term) (*Program, error) {
	for _, module := range compiler.Modules {
		bind(module)
	}
	query, err := compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(answer), value)))
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return &Program{
		compiler: compiler, query: query, store: store, builtins: bounded(), running: make(chan struct{}, maxAtOnce),
	}, nil
}

// Evaluation is one evaluation of a program.
type Evaluation struct {
	// What names the value in failures.
	What string
	// Input is read, also for a moment after Evaluate has returned for lack of time:
	// it must not be changed, and a lazy object must be this evaluation's own.
	Input ast.Value
	Now   time.Time
	// Timeout bounds it; the deadline of the context holds too.
	Timeout time.Duration
	// Strict makes an error of a builtin a failure. Else it is undefined.
	Strict bool
	// Seed is the randomness, nil for that of the process.
	Seed io.Reader
	// Metadata is what builtins find of the decision.
	Metadata map[string]any
	// Answers are those of nondeterministic builtins that count again; nil for none.
	// They are this evaluation's own, like Input.
	Answers builtins.NDBCache
	// Transport changes what http.send sends with, nil for nothing.
	Transport topdown.CustomizeRoundTripper
	// Resolved is a document that is this evaluation's own; nil for none.
	Resolved *Resolved
	// Tracer is told of every step; nil for none. One that was left behind is written to
	// still.
	Tracer topdown.QueryTracer
	// Everything begins rules too that an index or another answer rules out. It is for
	// programs that ask nobody: others would ask more than they do otherwise.
	Everything bool
}

// Resolved is a document below data that is no part of the program.
type Resolved struct {
	Ref ast.Ref
	By  resolver.Resolver
}

// Evaluate evaluates a program once: its value as it made it, whatever the type, nil
// where that is undefined.
func (p *Program) Evaluate(ctx context.Context, e Evaluation) (ast.Value, *Failure) {
	if late := p.late.Load(); late >= maxLate {
		return nil, &Failure{Late, fmt.Sprintf("evaluation did not begin: %d of this policy still run past their time", late)}
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	select {
	case p.running <- struct{}{}:
	case <-ctx.Done():
		if n := len(p.running); n == maxAtOnce {
			return nil, &Failure{Late, fmt.Sprintf("evaluation did not begin: %d of this policy are running", n)}
		}
		return nil, &Failure{Late, "evaluation did not begin: no time was left for it"}
	}
	stop := &purse{topdown.NewCancel(), mostMade}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-p.running }()
		done <- p.run(ctx, stop, e)
	}()
	select {
	case out := <-done:
		return out.value, out.failure
	case <-ctx.Done():
		stop.Cancel()
		p.late.Add(1)
		go func() {
			<-done
			p.late.Add(-1)
		}()
		return nil, failureOf(ctx.Err())
	}
}

type outcome struct {
	value   ast.Value
	failure *Failure
}

// run evaluates the query once. OPA does not recover from panics of builtins.
func (p *Program) run(ctx context.Context, stop *purse, e Evaluation) (out outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			out = outcome{failure: &Failure{Malformed, fmt.Sprintf("evaluation panicked: %.200v", cause)}}
		}
	}()
	txn, err := p.store.NewTransaction(ctx)
	if err != nil {
		return outcome{failure: failureOf(err)}
	}
	defer p.store.Abort(ctx, txn)
	err = p.configured(txn, e).WithCancel(stop).Iter(ctx, func(result topdown.QueryResult) error {
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
	case out.value != nil && !Within(out.value, maxValue):
		return outcome{failure: &Failure{TooLarge, fmt.Sprintf("%s: got more than %d bytes of JSON", e.What, maxValue)}}
	}
	return out
}

func (p *Program) configured(txn storage.Transaction, e Evaluation) *topdown.Query {
	query := topdown.NewQuery(p.query).
		WithCompiler(p.compiler).
		WithStore(p.store).
		WithTransaction(txn).
		WithInput(ast.NewTerm(e.Input)).
		WithTime(e.Now).
		WithBuiltins(p.builtins).
		WithStrictBuiltinErrors(e.Strict).
		WithRequestMetadata(e.Metadata)
	if e.Seed != nil {
		query = query.WithSeed(e.Seed)
	}
	if e.Answers != nil {
		query = query.WithNDBuiltinCache(e.Answers)
	}
	if e.Resolved != nil {
		query = query.WithResolver(e.Resolved.Ref, e.Resolved.By)
	}
	if e.Transport != nil {
		query = query.WithHTTPRoundTripper(e.Transport)
	}
	if e.Tracer != nil {
		query = query.WithQueryTracer(e.Tracer)
	}
	if e.Everything {
		query = query.WithIndexing(false).WithEarlyExit(false)
	}
	return query
}

func failureOf(err error) *Failure {
	switch {
	case errors.Is(err, context.Canceled):
		return &Failure{Late, "evaluation was canceled"}
	case topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded):
		return &Failure{Late, "evaluation took too long"}
	case errors.Is(err, errMade):
		return &Failure{TooLarge, err.Error()}
	default:
		return &Failure{Malformed, Shortened(err.Error())}
	}
}

// Shortened is the beginning of a cause: errors of OPA quote what they are about, which
// may be as large as a document.
func Shortened(cause string) string {
	const most = 1000
	if len(cause) <= most {
		return cause
	}
	return strings.ToValidUTF8(cause[:most], "") + " …"
}

// Beside runs a function and does not wait for it longer than its context lives:
// OPA's parser, formatter and compiler do not look at one, and take time that
// grows faster than the source. A panic in them is an error.
func Beside[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var out outcome
		defer func() {
			if cause := recover(); cause != nil {
				out.err = fmt.Errorf("compiler panicked: %v", cause)
			}
			done <- out
		}()
		out.value, out.err = f()
	}()
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("module: compiling took too long: %w", context.Cause(ctx))
	}
}

// Depth is how deep brackets nest in a source, those in strings and comments
// included: the parser and all that walks its tree call themselves as deep.
func Depth(source string) int {
	depth, deepest := 0, 0
	for _, c := range []byte(source) {
		switch c {
		case '(', '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return deepest
}

// Reaching are the builtins that reach the network, the process or the disk. Schemas name
// others by URL, and may name files.
func Reaching() []string {
	return []string{"http.send", "json.match_schema", "json.verify_schema", "net.lookup_ip_addr", "opa.runtime"}
}

// Unbounded says of a builtin that a few bytes keep it busy for as long as one
// likes, deaf to the deadline.
func Unbounded(name string) bool {
	switch name {
	case "bits.lsh", // bits.lsh(1, 2e9)
		"graph.reachable_paths",   // exponential: fourteen nodes that reach each other
		"strings.render_template": // loops within loops of its own
		return true
	}
	// GraphQL's parser calls itself as deep as its text nests, which ends the
	// process and not the evaluation.
	return strings.HasPrefix(name, "graphql.")
}

// Named says whether a text has the parts of a builtin's name in it. Operators have
// no name in a text, and what is internal the compiler writes itself. A compiler
// keeps the types of all builtins that it is given, which is more than most modules
// are.
func Named(b *ast.Builtin, text string) bool {
	if b.Infix != "" || strings.HasPrefix(b.Name, "internal.") {
		return true
	}
	for part := range strings.SplitSeq(b.Name, ".") {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
