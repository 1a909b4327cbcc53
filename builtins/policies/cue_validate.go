package policies

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/declare"
)

// validated is the answer of cue.validate and of cue.validate_concrete.
type validated struct {
	OK    bool             `json:"ok"`
	Error *declare.Problem `json:"error"`
}

func cueValidate() declare.Builtin {
	return cueBuiltin("cue.validate", false,
		"Decides whether a document complies with a policy in CUE. It asks no registry. What the document lacks complies.",
		declare.Example{
			Expression: `cue.validate("predicate: builder: id: \"acme\"", {"predicate": {"builder": {"id": "other"}}})`,
			Value: `{"ok": false, "error": {"code": "not_compliant",
 "message": "failed to evaluate the policy with error: predicate.builder.id: conflicting values \"other\" and \"acme\""}}`,
		})
}

func cueValidateConcrete() declare.Builtin {
	return cueBuiltin("cue.validate_concrete", true,
		"Is `cue.validate` that also wants every value to be there.",
		declare.Example{
			Expression: `cue.validate_concrete("predicate: builder: id: string", {"predicate": {}})`,
			Value: `{"ok": false, "error": {"code": "not_compliant",
 "message": "failed to evaluate the policy with error: predicate.builder.id: incomplete value string"}}`,
		})
}

func cueBuiltin(name string, concrete bool, text string, example declare.Example) declare.Builtin {
	return declare.Builtin{
		Name: name,
		Text: text,
		Args: []declare.Field{
			declare.Named("policy", types.S, "the policy, in CUE"),
			declare.Named("document", types.A, "what is judged, any JSON"),
		},
		Answer:   "`ok` when the document complies",
		Codes:    []declare.Code{declare.NotCompliant, declare.Malformed, declare.TooLarge, declare.Timeout},
		Examples: []declare.Example{example},
		Call: func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			p := complies(bctx, operands, concrete)
			return iter(declare.Term(validated{OK: p == nil, Error: p}))
		},
	}
}

// complies is nil when the document does.
func complies(bctx topdown.BuiltinContext, operands []*ast.Term, concrete bool) *declare.Problem {
	policy, p := declare.Text("policy", operands[0])
	if p != nil {
		return p
	}
	document, p := declare.Encode("document", operands[1].Value)
	if p != nil {
		return p
	}
	if s, ok := bctx.RequestMetadata[JudgeKey].(Judge); ok {
		return s.Judge(bctx.Context, "cue "+policy, func(ctx context.Context) *declare.Problem {
			return validate(ctx, s.CUE(), policy, document, concrete)
		})
	}
	// Stock tools have no session, and this wants none but for its limits.
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		return declare.Refuse(declare.Malformed, err.Error())
	}
	ctx := bctx.Context
	if ctx == nil {
		ctx = context.Background()
	}
	return validate(ctx, evaluator, policy, document, concrete)
}

func validate(ctx context.Context, evaluator *cue.Evaluator, policy string, document []byte, concrete bool) *declare.Problem {
	if refusal := evaluator.Validate(ctx, policy, document, concrete); refusal != nil {
		return declare.Refuse(declare.Code(refusal.Code), refusal.Message)
	}
	return nil
}
