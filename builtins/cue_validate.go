package builtins

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/cue"
)

// validated is the answer of cue.validate and of cue.validate_concrete.
type validated struct {
	OK    bool     `json:"ok"`
	Error *problem `json:"error"`
}

func cueValidate() builtin {
	return cueBuiltin("cue.validate", false,
		"Decides whether a document complies with a CUE policy, as a ClusterImagePolicy asks: what the document lacks complies.")
}

func cueValidateConcrete() builtin {
	return cueBuiltin("cue.validate_concrete", true,
		"Decides whether a document complies with a CUE policy and has every value that the policy wants.")
}

func cueBuiltin(name string, concrete bool, description string) builtin {
	declaration := &ast.Builtin{
		Name:        name,
		Description: description + " Asks no registry. Answers not_compliant, malformed, too_large and timeout.",
		Decl: types.NewFunction(
			types.Args(
				types.Named("policy", types.S).Description("the policy, in CUE"),
				types.Named("document", types.A).Description("what is judged, any JSON"),
			),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "error": errorType(),
			})).Description("ok when the document complies"),
		),
	}
	call := func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		p := complies(bctx, operands, concrete)
		return iter(term(validated{OK: p == nil, Error: p}))
	}
	return builtin{declaration, call}
}

// complies is nil when the document does.
func complies(bctx topdown.BuiltinContext, operands []*ast.Term, concrete bool) *problem {
	policy, ok := text(operands[0])
	if !ok {
		return wantString("policy", operands[0])
	}
	document, p := encode("document", operands[1].Value)
	if p != nil {
		return p
	}
	if s, ok := bctx.RequestMetadata[MetadataKey].(*Session); ok {
		return s.judge(bctx.Context, "cue "+policy, func(ctx context.Context) *problem {
			return validate(ctx, s.facts.options.CUE, policy, document, concrete)
		})
	}
	// Stock tools have no session, and this wants none but for its limits.
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		return problemOf(err)
	}
	ctx := bctx.Context
	if ctx == nil {
		ctx = context.Background()
	}
	return validate(ctx, evaluator, policy, document, concrete)
}

func validate(ctx context.Context, evaluator *cue.Evaluator, policy string, document []byte, concrete bool) *problem {
	if refusal := evaluator.Validate(ctx, policy, document, concrete); refusal != nil {
		return problemOf(refusal)
	}
	return nil
}
