package builtins

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// Inline asks isCompliant of one module that a ClusterImagePolicy brought along,
// with a document as its input. The engine has them: each is compiled alone and
// evaluated by itself, within its own time. The value is nil where the rule is
// undefined; a code other than the empty one says why there is no value.
type Inline = func(ctx context.Context, module string, document ast.Value) (value ast.Value, code, message string)

// complied is the answer of sigstore.is_compliant but for its value.
type complied struct {
	OK    bool     `json:"ok"`
	Value any      `json:"value"`
	Error *problem `json:"error"`
}

func sigstoreIsCompliant() builtin {
	declaration := &ast.Builtin{
		Name: "sigstore.is_compliant",
		Description: "Gives the value of isCompliant in a module of package sigstore that a ClusterImagePolicy brought along. " +
			"Answers timeout, too_large, malformed when the evaluation ended in an error, and unsupported where there is no such module.",
		Decl: types.NewFunction(
			types.Args(
				types.Named("module", types.S).Description("the module's package, as in cip/NAME/spec/policy"),
				types.Named("document", types.A).Description("the input of the module"),
			),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "value": types.A, "error": errorType(),
			})).Description("the value, null where the rule is undefined; a set is an array in OPA's order"),
		),
		Nondeterministic: true, // the modules and the time are those of the decision
	}
	call := func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		blank := func(p problem) error { return iter(term(complied{Error: &p})) }
		module, ok := text(operands[0])
		if !ok {
			return blank(*wantString("module", operands[0]))
		}
		s, ok := bctx.RequestMetadata[MetadataKey].(*Session)
		inline, _ := bctx.RequestMetadata[inlineKey].(Inline)
		if !ok || inline == nil {
			return blank(problem{Unsupported, "sigstore.is_compliant needs the engine: there are no modules in this evaluation"})
		}
		var value ast.Value
		p := s.judge(bctx.Context, "rego "+module, func(ctx context.Context) *problem {
			var code, message string
			if value, code, message = inline(ctx, module, operands[1].Value); code != "" {
				return &problem{Code(code), message}
			}
			return nil
		})
		if p != nil {
			return blank(*p)
		}
		return iter(ast.ObjectTerm(
			ast.Item(ast.StringTerm("ok"), ast.BooleanTerm(true)),
			ast.Item(ast.StringTerm("value"), ast.NewTerm(shown(value))),
			ast.Item(ast.StringTerm("error"), ast.NullTerm()),
		))
	}
	return builtin{declaration, call}
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
