package builtins

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
)

// Inline asks isCompliant of one module that a ClusterImagePolicy brought along,
// with a document as its input. The engine has them: each is compiled alone and
// evaluated by itself, within its own time. The value is nil where the rule is
// undefined; a code other than the empty one says why there is no value.
type Inline = func(ctx context.Context, module string, document ast.Value) (value ast.Value, code, message string)

// complied is the answer of sigstore.is_compliant but for its value.
type complied struct {
	OK    bool             `json:"ok"`
	Value any              `json:"value"`
	Error *declare.Problem `json:"error"`
}

func sigstoreIsCompliant() declare.Builtin {
	return declare.Builtin{
		Name: "sigstore.is_compliant",
		Text: "Gives the value of `isCompliant` in a Rego module that a ClusterImagePolicy brought along, with the document as its `input`. " +
			"`malformed` is an evaluation that ended in an error, `unsupported` that there is no such module.",
		Args: []declare.Field{
			declare.Named("module", types.S, "the package that the module was moved to, with slashes, as in cip/NAME/spec/policy"),
			declare.Named("document", types.A, "the input of the module"),
		},
		Answer: "what the module says",
		Members: []declare.Field{declare.Named("value", types.A,
			"a boolean, or an array where the rule is a set, in OPA's order; null where it is undefined or not `ok`")},
		Codes:            []declare.Code{declare.Timeout, declare.TooLarge, declare.Malformed, declare.Unsupported},
		Nondeterministic: true, // the modules and the time are those of the decision
		Call: func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			value, p := compliance(bctx, operands)
			if p != nil {
				return iter(declare.Term(complied{Error: p}))
			}
			return iter(ast.ObjectTerm(
				ast.Item(ast.StringTerm("ok"), ast.BooleanTerm(true)),
				ast.Item(ast.StringTerm("value"), ast.NewTerm(shown(value))),
				ast.Item(ast.StringTerm("error"), ast.NullTerm()),
			))
		},
	}
}

// compliance asks the module.
func compliance(bctx topdown.BuiltinContext, operands []*ast.Term) (value ast.Value, p *declare.Problem) {
	module, p := declare.Text("module", operands[0])
	if p != nil {
		return nil, p
	}
	s, ok := bctx.RequestMetadata[MetadataKey].(*Session)
	inline, _ := bctx.RequestMetadata[inlineKey].(Inline)
	if !ok || inline == nil {
		return nil, declare.Refuse(declare.Unsupported, "sigstore.is_compliant needs the engine: there are no modules in this evaluation")
	}
	p = s.judge(bctx.Context, "rego "+module, func(ctx context.Context) *declare.Problem {
		var code, message string
		if value, code, message = inline(ctx, module, operands[1].Value); code != "" {
			return declare.Refuse(declare.Code(code), message)
		}
		return nil
	})
	return value, p
}

// shown is a value as a policy's author would see it in JSON: undefined is null,
// and a set is an array.
func shown(value ast.Value) ast.Value {
	switch value := value.(type) {
	case nil:
		return ast.NullValue
	case ast.Set:
		return value.Sorted()
	}
	return value
}
