package rego

import (
	"context"
	"errors"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/rego/raw"
)

// CompileFor is [Compile] with another decision in the place of the library's,
// for stories about the engine that no ClusterImagePolicy can tell.
func CompileFor(ctx context.Context, source Source, query string) (*Set, error) {
	set, err := Compile(ctx, source)
	if err != nil {
		return nil, err
	}
	text, err := Modules(ctx, source.Policies)
	if err != nil {
		return nil, err
	}
	maps.Copy(text.Modules, source.Modules)
	set.raw = &raw.Policies{}
	compiler, err := compiled(ctx, text.compiled(false), nil)
	if err != nil {
		return nil, err
	}
	set.decision, err = rego.New(rego.Compiler(compiler), rego.Query(query), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	return set, err
}

// Speak has the policies in plain Rego of another set, which the decision of [CompileFor]
// knows nothing of, in decisions and explanations.
func (s *Set) Speak(of *Set) {
	s.raw = of.raw
	explanation := s.decision
	s.explanation = &explanation
}

// evaluations counts, by reference, the rules whose bodies are begun and the
// functions that are called.
type evaluations map[string]int

// Enabled, Config and TraceEvent make it a tracer of OPA's.
func (evaluations) Enabled() bool { return true }

func (evaluations) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

func (e evaluations) TraceEvent(event topdown.Event) {
	switch node := event.Node.(type) {
	case *ast.Rule:
		if event.Op == topdown.EnterOp {
			e[node.Ref().String()]++
		}
	case *ast.Expr:
		if event.Op == topdown.EvalOp && node.IsCall() {
			e[node.Operator().String()]++
		}
	}
}

// Counted is the last evaluation of a decision that has all its answers: how often
// each rule was begun and each function called, by reference.
func (s *Set) Counted(ctx context.Context, review []byte) (map[string]int, error) {
	about, err := reviewOf(review)
	if err != nil {
		return nil, err
	}
	whose, err := s.workloadOf(ctx, about)
	if err != nil {
		return nil, err
	}
	answers, count := s.open(whose), evaluations{}
	asking := s.asking(answers, about)
	_, err = evaluate(ctx, &s.decision, append(asking.options(about.value),
		rego.EvalRequestMetadata(asking.metadata()), rego.EvalQueryTracer(count)))
	if err == nil && answers.Pending() {
		err = errors.New("got questions without an answer, want a warm decision")
	}
	return count, err
}

// PolicyAnswer is the answer of assay.policy.
type PolicyAnswer struct {
	OK   bool
	Deny []any
}

// AskPolicy calls assay.policy in an evaluation of its own.
func AskPolicy(ctx context.Context, metadata map[string]any, name string, input any) (out PolicyAnswer, err error) {
	results, err := rego.New(rego.Query("assay.policy(data.name, input)"), rego.Input(input), rego.StrictBuiltinErrors(true),
		rego.Store(inmem.NewFromObject(map[string]any{"name": name}))).PrepareForEval(ctx)
	if err != nil {
		return out, err
	}
	values, err := results.Eval(ctx, rego.EvalInput(input), rego.EvalRequestMetadata(metadata))
	if err != nil || len(values) != 1 {
		return out, errors.Join(err, errors.New("no answer"))
	}
	answer, _ := values[0].Expressions[0].Value.(map[string]any)
	out.OK, _ = answer["ok"].(bool)
	out.Deny, _ = answer["deny"].([]any)
	return out, nil
}
