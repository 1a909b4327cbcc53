package policies

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
)

// Policy asks a policy in plain Rego about a review. The engine has them: each is
// compiled alone and evaluated by itself, within its own time. The answer is an object of
// deny, warn and mode; a code other than the empty one says why there is none.
type Policy = func(ctx context.Context, name string, review ast.Value) (answer ast.Value, code, message string)

func assayPolicy() declare.Builtin {
	return declare.Builtin{
		Name: "assay.policy",
		Text: "Gives what a policy in plain Rego says of a review, which is its `input`: the values of its rules `deny`, `warn` and `mode`. " +
			"`malformed` is an evaluation that ended in an error, `unresolved` a policy that does not compile, `unsupported` that there is no such policy.",
		Args: []declare.Field{
			declare.Named("name", types.S, "the policy's name"),
			declare.Named("review", types.A, "the input of the policy, an AdmissionReview"),
		},
		Answer: "what the policy says",
		Members: []declare.Field{
			declare.Named("deny", types.A, "the value of that rule, a set as an array in OPA's order; an empty array where it is undefined"),
			declare.Named("warn", types.A, "the same"),
			declare.Named("mode", types.A, "the value of that rule, null where it is undefined"),
			declare.Named("at", declare.List(types.S), "which rules denied, as RULE:LINE:FILE; empty unless an explanation is asked for"),
		},
		Codes: []declare.Code{declare.Timeout, declare.TooLarge, declare.Malformed, declare.Unresolved, declare.Unsupported},
		Examples: []declare.Example{{
			Expression: `assay.policy("labels", {"request": {"object": {"metadata": {"name": "shop"}}}})`,
			Value:      `{"ok": true, "deny": ["the label team is missing"], "warn": [], "mode": null, "at": [], "error": null}`,
		}},
		Nondeterministic: true, // the policies and the time are those of the decision
		Call: func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			return iter(said(asked(bctx, operands)))
		},
	}
}

// asked is what the policy says.
func asked(bctx topdown.BuiltinContext, operands []*ast.Term) (answer ast.Value, p *declare.Problem) {
	name, p := declare.Text("name", operands[0])
	if p != nil {
		return nil, p
	}
	s, ok := bctx.RequestMetadata[JudgeKey].(Judge)
	policy, _ := bctx.RequestMetadata[policyKey].(Policy)
	if !ok || policy == nil {
		return nil, declare.Refuse(declare.Unsupported, "assay.policy needs the engine: there are no policies in this evaluation")
	}
	p = s.Judge(bctx.Context, "policy "+name, func(ctx context.Context) *declare.Problem {
		var code, message string
		if answer, code, message = policy(ctx, name, operands[1].Value); code != "" {
			return declare.Refuse(declare.Code(code), message)
		}
		return nil
	})
	return answer, p
}

// said is the answer of assay.policy. Without an answer of the policy there is nothing
// that it denies, and it is not ok.
func said(answer ast.Value, p *declare.Problem) *ast.Term {
	object, _ := answer.(ast.Object)
	member := func(name string, none *ast.Term) [2]*ast.Term {
		value := none
		if object != nil {
			if found := object.Get(ast.StringTerm(name)); found != nil {
				value = found
			}
		}
		return ast.Item(ast.StringTerm(name), value)
	}
	cause := ast.NullTerm()
	if p != nil {
		cause = declare.Term(p)
	}
	return ast.ObjectTerm(
		ast.Item(ast.StringTerm("ok"), ast.BooleanTerm(p == nil && object != nil)),
		member("deny", ast.ArrayTerm()), member("warn", ast.ArrayTerm()), member("mode", ast.NullTerm()), member("at", ast.ArrayTerm()),
		ast.Item(ast.StringTerm("error"), cause),
	)
}
