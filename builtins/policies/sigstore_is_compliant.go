package policies

import (
	"context"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
)

// Inline asks isCompliant of one module that a ClusterImagePolicy brought along,
// with a document as its input. The engine has them: each is compiled alone and
// evaluated by itself, within its own time. The value is nil where the rule is
// undefined; a code other than the empty one says why there is no value. Beside a
// value, message has a line for each place where the module decided, if whoever
// evaluates it was asked for that.
type Inline = func(ctx context.Context, module string, document ast.Value) (value ast.Value, code, message string)

// complied is the answer of sigstore.is_compliant but for its value.
type complied struct {
	OK    bool             `json:"ok"`
	Value any              `json:"value"`
	At    []string         `json:"at"`
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
		Members: []declare.Field{
			declare.Named("value", types.A,
				"a boolean, or an array where the rule is a set, in OPA's order; null where it is undefined or not `ok`"),
			declare.Named("at", declare.List(types.S),
				"which lines of the module said no, as RULE:LINE: …; empty unless an explanation is asked for"),
		},
		Codes: []declare.Code{declare.Timeout, declare.TooLarge, declare.Malformed, declare.Unsupported},
		Examples: []declare.Example{{
			Expression: `sigstore.is_compliant("cip/scanned/spec/policy", {"authorityMatches": {"ci": {"static": true}}})`,
			Value:      `{"ok": true, "value": [{"result": false, "error": "nothing was scanned"}], "at": [], "error": null}`,
		}},
		Nondeterministic: true, // the modules and the time are those of the decision
		Call: func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			value, at, p := compliance(bctx, operands)
			if p != nil {
				return iter(declare.Term(complied{At: []string{}, Error: p}))
			}
			return iter(ast.ObjectTerm(
				ast.Item(ast.StringTerm("ok"), ast.BooleanTerm(true)),
				ast.Item(ast.StringTerm("value"), ast.NewTerm(shown(value))),
				ast.Item(ast.StringTerm("at"), ast.NewTerm(linesOf(at))),
				ast.Item(ast.StringTerm("error"), ast.NullTerm()),
			))
		},
	}
}

// compliance asks the module.
func compliance(bctx topdown.BuiltinContext, operands []*ast.Term) (value ast.Value, at string, p *declare.Problem) {
	module, p := declare.Text("module", operands[0])
	if p != nil {
		return nil, "", p
	}
	s, ok := bctx.RequestMetadata[JudgeKey].(Judge)
	inline, _ := bctx.RequestMetadata[inlineKey].(Inline)
	if !ok || inline == nil {
		return nil, "", declare.Refuse(declare.Unsupported, "sigstore.is_compliant needs the engine: there are no modules in this evaluation")
	}
	p = s.Judge(bctx.Context, "rego "+module, func(ctx context.Context) *declare.Problem {
		var code, message string
		if value, code, message = inline(ctx, module, operands[1].Value); code != "" {
			return declare.Refuse(declare.Code(code), message)
		}
		at = message
		return nil
	})
	return value, at, p
}

// linesOf are the lines of a text, none of an empty one.
func linesOf(text string) *ast.Array {
	var out []*ast.Term
	if text != "" {
		for line := range strings.SplitSeq(text, "\n") {
			out = append(out, ast.StringTerm(line))
		}
	}
	return ast.NewArray(out...)
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
