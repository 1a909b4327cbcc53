package rego

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/util"
)

// mostEvaluations bounds the speculative evaluations of one decision. Each is as
// deep as the chain of questions (a tag, then its signatures: three); past the
// bound questions wait for their answers in place.
const mostEvaluations = 8

// Observation is what one decision cost.
type Observation struct {
	// Evaluations is how often the policies were evaluated, one when every
	// answer was known.
	Evaluations int
	// Blocked says that the bound on evaluations was reached.
	Blocked bool
}

// Pass is one evaluation of the policies.
type Pass struct {
	Began time.Time
	Took  time.Duration
}

// Made is a decision with all that it was made from.
type Made struct {
	// Set are the policies that judged.
	Set *Set
	// Mutation says that the decision is a patch, of [Engine.Mutate].
	Mutation bool
	// Review is what was judged, as it came in.
	Review []byte
	// Answers are the facts that the decision saw.
	Answers Answers
	// Decision is what was answered, unless Err says why there is no decision.
	Decision Decision
	Err      error
	// Passes are the evaluations, in order. Only the last one is the decision.
	Passes []Pass
	// Read is what policies read of the labels of namespaces, nil where none does. Missing is
	// what a record does not have of it.
	Read    *Read
	Missing []string
}

// Engine serves decisions of one policy set, and takes another at any time. It
// is safe for concurrent use.
type Engine struct {
	set     atomic.Pointer[Set]
	observe func(Observation)
	record  func(Made)
	watch   func(context.Context, Made)
}

// NewEngine serves a set. observe is told of every decision and may be nil.
func NewEngine(set *Set, observe func(Observation)) *Engine {
	if observe == nil {
		observe = func(Observation) {}
	}
	e := &Engine{observe: observe}
	e.set.Store(set)
	return e
}

// Record has every decision told to record, which must not wait: the answer does not
// leave before it returns. It is to be called before the first decision.
func (e *Engine) Record(record func(Made)) { e.record = record }

// Watch has every decision told to watch, with the context in which it was asked for and
// also where there is none because of an error. Like [Engine.Record] it is to be called
// before the first decision, and what it calls must not wait.
func (e *Engine) Watch(watch func(context.Context, Made)) { e.watch = watch }

// Swap puts another set in place. Decisions under way end with the one they
// began with.
func (e *Engine) Swap(set *Set) { e.set.Store(set) }

// Set is the set that the next decision will use.
func (e *Engine) Set() *Set { return e.set.Load() }

// Decide judges an AdmissionReview in JSON. An error means that there is no
// decision, and must be answered by a denial.
func (e *Engine) Decide(ctx context.Context, review []byte) (Decision, error) {
	made := Made{Set: e.set.Load(), Review: review}
	made.Decision, made.Err = made.Set.whole(decisionOf(e.run(ctx, &made, &made.Set.decision, false)))
	return e.told(ctx, made)
}

// Mutate gives the patch that pins the tags of an AdmissionReview to digests.
func (e *Engine) Mutate(ctx context.Context, review []byte) (Decision, error) {
	made := Made{Set: e.set.Load(), Review: review, Mutation: true}
	made.Decision, made.Err = decisionOf(e.run(ctx, &made, &made.Set.mutation, false))
	return e.told(ctx, made)
}

// Explain is Decide, and why the decision fell as it did. It asks registries for
// nothing that Decide does not ask for. It is an error where the set's source does not
// say [Source.Explains].
func (e *Engine) Explain(ctx context.Context, review []byte) (Decision, Explanation, error) {
	made := Made{Set: e.set.Load(), Review: review}
	if made.Set.explanation == nil {
		return Decision{}, Explanation{}, errors.New("the policy set was compiled without explanations")
	}
	var out struct {
		Decision    Decision    `json:"decision"`
		Explanation Explanation `json:"explanation"`
	}
	results, err := e.run(ctx, &made, made.Set.explanation, true)
	if made.Err = decode(results, err, &out); made.Err == nil {
		made.Decision, made.Err = made.Set.whole(out.Decision, nil)
	}
	decision, err := e.told(ctx, made)
	return decision, out.Explanation, err
}

// Refused has those told who watch of a review that is denied before policies judge it, and why. There
// is no decision to record.
func (e *Engine) Refused(ctx context.Context, review []byte, mutation bool, cause error) {
	if e.watch != nil {
		e.watch(ctx, Made{Set: e.set.Load(), Review: review, Mutation: mutation, Err: cause})
	}
}

// whole refuses a decision that is not about every policy in plain Rego. The library
// rules that out, as it does an undefined decision.
func (s *Set) whole(out Decision, err error) (Decision, error) {
	if want := len(s.raw.All()); err == nil && len(out.Rego) != want {
		return Decision{}, fmt.Errorf("the decision is about %d policies in Rego, want %d", len(out.Rego), want)
	}
	return out, err
}

// told has a decision watched and recorded. A review that could not be read is none to record.
func (e *Engine) told(ctx context.Context, made Made) (Decision, error) {
	if e.watch != nil {
		e.watch(ctx, made)
	}
	if made.Err == nil && !made.Mutation {
		made.Answers.Decided(made.Set.hash, made.Decision.Allowed, made.Decision.references())
	}
	if e.record != nil && made.Answers != nil {
		e.record(made)
	}
	return made.Decision, made.Err
}

// run evaluates until nothing is asked that has no answer.
//
// A builtin without an answer notes its question and is undefined, so an
// evaluation that ends with questions pending is no decision: it is thrown
// away whole, its errors too, which can be artefacts of what is missing. The
// last evaluation saw every answer.
func (e *Engine) run(ctx context.Context, made *Made, query *rego.PreparedEvalQuery, explaining bool) (rego.ResultSet, error) {
	set := made.Set
	about, err := reviewOf(made.Review)
	if err != nil {
		return nil, err
	}
	whose, err := set.workloadOf(ctx, about)
	if err != nil {
		return nil, err
	}
	answers := set.open(whose)
	made.Answers = answers
	asking := set.asking(answers, about)
	asking.explaining = explaining
	defer func() { made.Read, made.Missing = asking.look.taken(), asking.look.missing() }()
	if err := asking.look.about(whose, about); err != nil {
		return nil, err
	}
	options := append(asking.options(about.value), rego.EvalRequestMetadata(asking.metadata()))
	var seen Observation
	defer func() { e.observe(seen) }()
	for {
		seen.Evaluations++
		if seen.Evaluations > mostEvaluations {
			seen.Blocked = true
			answers.Block()
		}
		began := time.Now()
		results, err := evaluate(ctx, query, append(options, rego.EvalSeed(seed(answers.Now()))))
		made.Passes = append(made.Passes, Pass{Began: began, Took: time.Since(began)})
		if ctx.Err() != nil {
			return nil, fmt.Errorf("decide: %w", context.Cause(ctx))
		}
		if !answers.Pending() {
			return results, err
		}
		scope, err := asking.scope(ctx, about)
		if err != nil {
			return nil, err
		}
		if seen.Evaluations == 1 {
			unchanged, err := evaluate(ctx, &set.unchanged, asking.options(about.value))
			if err != nil {
				return nil, err
			}
			answers.Reuse(set.hash, texts(unchanged))
		}
		answers.Settle(ctx, scope)
	}
}

// seed is the randomness of an evaluation. Every evaluation of a decision has the
// same, else one would ask what the next does not.
func seed(now time.Time) io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], uint64(now.UnixNano()))
	return rand.NewChaCha8(key)
}

// evaluate runs a query once. OPA does not recover from panics of builtins.
func evaluate(ctx context.Context, query *rego.PreparedEvalQuery, options []rego.EvalOption) (results rego.ResultSet, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("evaluation panicked: %v", cause)
		}
	}()
	return query.Eval(ctx, options...)
}

// scope are the registries of the review's own images and of the sources that
// policies name: all that a speculative evaluation may contact. Who writes
// policies chose the latter, so asking there tells no stranger anything.
func (s *Set) scope(ctx context.Context, options []rego.EvalOption) ([]string, error) {
	results, err := evaluate(ctx, &s.registries, options)
	if err != nil {
		return nil, err
	}
	return append(texts(results), s.sources...), nil
}

// texts are the strings in the array that a query gives.
func texts(results rego.ResultSet) []string {
	out := []string{}
	for _, result := range results {
		values, _ := result.Expressions[0].Value.([]any)
		for _, value := range values {
			if text, ok := value.(string); ok {
				out = append(out, text)
			}
		}
	}
	return out
}

// errUndefined says that the entrypoint gave nothing, which the library rules
// out; without a decision there is no admission.
var errUndefined = errors.New("the decision is undefined")

func decisionOf(results rego.ResultSet, err error) (Decision, error) {
	var out Decision
	if err := decode(results, err, &out); err != nil {
		return Decision{}, err
	}
	return out, nil
}

// decode reads the one value of a query.
func decode(results rego.ResultSet, err error, into any) error {
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return errUndefined
	}
	encoded, err := json.Marshal(results[0].Expressions[0].Value)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(encoded, into); err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	return nil
}

// review is an AdmissionReview that was decoded, once.
type review struct {
	document any
	value    ast.Value // the input of the decision
}

func reviewOf(data []byte) (*review, error) {
	out := &review{}
	if err := util.UnmarshalJSON(data, &out.document); err != nil {
		return nil, fmt.Errorf("review: %w", err)
	}
	if _, ok := out.document.(map[string]any); !ok {
		return nil, fmt.Errorf("review: got %T, want an object", out.document)
	}
	out.value = out.input()
	return out, nil
}

// input is the review as OPA has it, another value each time. Only what policies look at
// becomes OPA values: a lazy object converts its members when they are asked for, and
// nobody asks for most of a large object.
func (r *review) input() ast.Value {
	if object, ok := r.document.(map[string]any); ok {
		return ast.LazyObject(object)
	}
	return ast.MustInterfaceToValue(r.document)
}

// isOf says whether it is about an object of a kind of Kubernetes' core.
func (r *review) isOf(kind string) bool {
	member := func(of any, name string) any {
		object, _ := of.(map[string]any)
		return object[name]
	}
	of := member(member(r.document, "request"), "kind")
	group, named := member(of, "group").(string)
	return member(of, "kind") == kind && (!named || group == "")
}

// is says whether a value is the input of the decision itself.
func (r *review) is(value ast.Value) bool {
	mine, ok := r.value.(ast.Object)
	object, also := value.(ast.Object)
	return ok && also && mine == object
}

// About is the workload of a review, as the set finds it.
func (s *Set) About(ctx context.Context, data []byte) (Workload, error) {
	about, err := reviewOf(data)
	if err != nil {
		return Workload{}, err
	}
	return s.workloadOf(ctx, about)
}

// workloadOf is what the review is about, before anything is asked about it.
func (s *Set) workloadOf(ctx context.Context, about *review) (out Workload, err error) {
	results, err := evaluate(ctx, &s.workload, []rego.EvalOption{
		rego.EvalParsedInput(about.input()), rego.EvalInterQueryBuiltinValueCache(s.expressions),
	})
	if ctx.Err() != nil {
		return out, fmt.Errorf("decide: %w", context.Cause(ctx))
	}
	if err := decode(results, err, &out); err != nil {
		return out, fmt.Errorf("workload: %w", err)
	}
	return out, nil
}

// options are those of every evaluation. Two evaluations at the same time must not share
// an input.
func (a *asking) options(input ast.Value) []rego.EvalOption {
	out := []rego.EvalOption{
		rego.EvalParsedInput(input), rego.EvalTime(a.now), rego.EvalInterQueryBuiltinValueCache(a.set.expressions),
	}
	if a.look != nil {
		out = append(out, rego.EvalResolver(namespacesRef(), a.look))
	}
	return out
}
