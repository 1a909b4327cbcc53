package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/print"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
	"github.com/assay-dev/assay/rego"
)

// This file makes the cases of fixtures tests of OPA's runner. Each fixture becomes a
// module, each case a rule of it, whose body is one call of a builtin that knows the
// case. The runner, which finds tests and runs them, needs to know no more.

// caseBuiltin is the name of that builtin, which is there in `assay test` alone.
const caseBuiltin = "assay.test_case"

func caseDeclaration() *ast.Builtin {
	return &ast.Builtin{
		Name:        caseBuiltin,
		Description: "Decides a case of a fixture and compares the decision with what is wanted.",
		Decl: types.NewFunction(
			types.Args(
				types.Named("file", types.S).Description("the fixture"),
				types.Named("rule", types.S).Description("the case, as its rule is called"),
			),
			types.Named("passed", types.B).Description("whether the decision is the one that is wanted; what differs is printed"),
		),
		Nondeterministic: true,
	}
}

// runKey is where an evaluation of the runner finds its run: OPA hands builtins
// nothing but the context.
type runKey struct{}

func runOf(ctx context.Context) *run {
	if ctx == nil {
		return nil
	}
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// Register makes OPA know what tests may call beside the builtins, and lets the
// builtins answer Rego tests from the world. It is to be called once in a process
// that runs tests and serves nothing, after [builtins.Register].
func Register() {
	ast.RegisterBuiltin(caseDeclaration())
	topdown.RegisterBuiltinFunc(caseBuiltin, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		passed, err := runOf(bctx.Context).decide(bctx, operands)
		if err != nil {
			return err
		}
		return iter(ast.BooleanTerm(passed))
	})
	builtins.RegisterStandalone(func(ctx context.Context) map[string]any {
		if r := runOf(ctx); r != nil {
			return r.metadata(ctx)
		}
		return nil
	})
}

// question is a case that is ready to be asked.
type question struct {
	engine *rego.Engine
	review []byte
	want   fixture.Want
}

// questions are those of all fixtures, by file and rule.
func (s *stage) questions(ctx context.Context, files []*fixture.File) (map[[2]string]question, error) {
	out := map[[2]string]question{}
	var errs []error
	for _, file := range files {
		for _, c := range file.Cases {
			q, err := s.question(ctx, file, c)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", file.Path, c.Line, err))
			}
			out[[2]string{file.Path, c.Rule}] = q
		}
	}
	return out, errors.Join(errs...)
}

func (s *stage) question(ctx context.Context, file *fixture.File, c fixture.Case) (q question, err error) {
	if q.engine, err = s.engine(ctx, file, c.Config); err != nil {
		return q, err
	}
	q.want = c.Want
	q.want.Reasons = expanded(s, file, c.Want.Reasons)
	q.want.Warnings = expanded(s, file, c.Want.Warnings)
	if q.review, err = s.review(file, c); err != nil {
		return q, err
	}
	unknown := fixture.Unknown(slices.Concat(q.want.Reasons, q.want.Warnings)...)
	if unknown == "" {
		unknown = fixture.UnknownImage(q.review)
	}
	if unknown != "" {
		return q, fmt.Errorf("got %s, want the name of something in the world", unknown)
	}
	return q, known(q.engine.Set(), c.Want.Policies)
}

// known refuses the name of a policy that is not there: it is unmatched for ever.
func known(set *rego.Set, wanted map[string]string) error {
	names := set.Policies()
	for _, policy := range set.Raw() {
		names = append(names, policy.Name)
	}
	for _, name := range sorted(wanted) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("policies: got %q, want the name of a policy: %s", name, or(strings.Join(names, ", "), "there is none"))
		}
	}
	return nil
}

func expanded(s *stage, file *fixture.File, texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = file.Expand(s.world, text)
	}
	return out
}

// review is the input of the case, made as `assay verify` makes it.
func (s *stage) review(file *fixture.File, c fixture.Case) ([]byte, error) {
	var review []byte
	var err error
	switch {
	case c.Review != nil:
		return reviews.Given([]byte(file.ExpandManifest(s.world, *c.Review)))
	case c.Resource != nil:
		review, err = reviews.Resource([]byte(file.ExpandManifest(s.world, *c.Resource)), nil)
	default:
		review, err = reviews.Pod(expanded(s, file, c.Images))
	}
	if err != nil {
		return nil, err
	}
	return reviews.Of(review, reviews.Request{Operation: c.Operation, Namespace: c.Namespace, User: c.User, Groups: c.Groups})
}

// module is a fixture as the runner finds it. It is made of syntax and not of text:
// names of files and cases are an author's. origin is what its expressions say of
// where they come from.
func module(file *fixture.File, origin string) *ast.Module {
	at := func(line int) *ast.Location { return ast.NewLocation(nil, origin, line, 1) }
	path := ast.Ref{ast.DefaultRootDocument.Copy(), ast.StringTerm("assay"), ast.StringTerm("fixtures"), ast.StringTerm(file.Path)}
	for _, term := range path {
		term.SetLocation(at(1))
	}
	out := &ast.Module{Package: &ast.Package{Path: path, Location: at(1)}}
	out.SetRegoVersionSpan(ast.RegoVersionSpanOf(ast.RegoV1))
	for _, c := range file.Cases {
		call := ast.NewExpr([]*ast.Term{
			ast.NewTerm(caseDeclaration().Ref()).SetLocation(at(c.Line)),
			ast.StringTerm(file.Path).SetLocation(at(c.Line)),
			ast.StringTerm(c.Rule).SetLocation(at(c.Line)),
		}).SetLocation(at(c.Line))
		name := ast.VarTerm(c.Rule).SetLocation(at(c.Line))
		head := ast.RefHead(ast.Ref{name})
		head.Name, head.Value, head.Location = ast.Var(c.Rule), ast.BooleanTerm(true).SetLocation(at(c.Line)), at(c.Line)
		out.Rules = append(out.Rules, &ast.Rule{Head: head, Body: ast.NewBody(call), Module: out, Location: ast.NewLocation(nil, file.Path, c.Line, 1)})
	}
	return out
}

// decide asks the engine and prints what differs, for the runner to report.
func (r *run) decide(bctx topdown.BuiltinContext, operands []*ast.Term) (bool, error) {
	file, ok1 := operands[0].Value.(ast.String)
	rule, ok2 := operands[1].Value.(ast.String)
	if r == nil || !ok1 || !ok2 {
		return false, fmt.Errorf("%s: got no case, want one of a fixture", caseBuiltin)
	}
	q, ok := r.questions[[2]string{string(file), string(rule)}]
	if !ok {
		return false, fmt.Errorf("%s: %s: got no case %s", caseBuiltin, file, rule)
	}
	decision, err := q.engine.Decide(bctx.Context, q.review)
	if err != nil {
		return false, say(bctx, "no decision: "+err.Error())
	}
	differences := q.compare(decision)
	for _, difference := range differences {
		if err := say(bctx, difference); err != nil {
			return false, err
		}
	}
	return len(differences) == 0, nil
}

// say prints as print does in Rego. Benchmarks print nothing.
func say(bctx topdown.BuiltinContext, text string) error {
	if bctx.PrintHook == nil {
		return nil
	}
	return bctx.PrintHook.Print(print.Context{Context: bctx.Context, Location: bctx.Location}, text)
}

// compare tells what is not as it is wanted, each with got and want.
func (q question) compare(got rego.Decision) []string {
	var out []string
	if got.Allowed != q.want.Allowed {
		out = append(out, fmt.Sprintf("got %s, want %s", verdict(got.Allowed), verdict(q.want.Allowed)))
	}
	out = append(out, missing("reasons", got.Reasons, q.want.Reasons)...)
	out = append(out, missing("warnings", got.Warnings, q.want.Warnings)...)
	for _, name := range sorted(q.want.Policies) {
		if outcome := outcomeOf(got, name); outcome != q.want.Policies[name] {
			out = append(out, fmt.Sprintf("policies.%s: got %s, want %s", name, outcome, q.want.Policies[name]))
		}
	}
	if len(out) == 0 {
		return nil
	}
	for _, reason := range got.Reasons {
		out = append(out, "reason: "+reason)
	}
	for _, warning := range got.Warnings {
		out = append(out, "warning: "+warning)
	}
	return out
}

func verdict(allowed bool) string {
	if allowed {
		return "allowed"
	}
	return "denied"
}

func missing(what string, got, want []string) (out []string) {
	for _, text := range want {
		if !slices.ContainsFunc(got, func(have string) bool { return strings.Contains(have, text) }) {
			have, _ := json.Marshal(got) //nolint:errchkjson // strings marshal
			out = append(out, fmt.Sprintf("%s: got %s, want one that contains %q", what, have, text))
		}
	}
	return out
}

// unmatched is the outcome of a policy that was not asked.
const unmatched = "unmatched"

// outcomeOf is that of a policy over all images of the decision: it failed when it
// failed for any.
func outcomeOf(got rego.Decision, name string) string {
	outcome := unmatched
	for _, image := range got.Images {
		for _, p := range image.Policies {
			if p.Name == name && outcome != "failed" {
				outcome = p.Outcome
			}
		}
	}
	for _, p := range got.Rego {
		if p.Name == name && outcome != "failed" {
			outcome = p.Outcome
		}
	}
	return outcome
}
