package builtins

import (
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/sigstore"
)

// documented is the answer of cosign.document.
type documented struct {
	OK    bool            `json:"ok"`
	Value json.RawMessage `json:"value"`
	Error *problem        `json:"error"`
}

func cosignDocument() builtin {
	declaration := &ast.Builtin{
		Name: "cosign.document",
		Description: "Gives a verified in-toto statement as policy-controller shows it to the policy of an attestation: " +
			"of predicate types by cosign's short names only the fields that cosign knows. Answers malformed.",
		Decl: types.NewFunction(
			types.Args(
				types.Named("statement", types.A).Description("a statement that cosign.attestations gave"),
				types.Named("predicate_type", types.S).Description("the predicate type as the policy wrote it"),
			),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "value": types.A, "error": errorType(),
			})).Description("the document"),
		),
	}
	call := func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		blank := func(p problem) error { return iter(term(documented{Error: &p})) }
		asked, ok := text(operands[1])
		if !ok {
			return blank(*wantString("predicate_type", operands[1]))
		}
		value, err := ast.JSON(operands[0].Value)
		if err != nil {
			return blank(problem{Malformed, "statement: " + err.Error()})
		}
		statement, err := json.Marshal(value)
		if err != nil {
			return blank(problem{Malformed, "statement: " + err.Error()})
		}
		document, err := sigstore.Document(statement, asked)
		if err != nil {
			return blank(problem{Malformed, err.Error()})
		}
		return iter(term(documented{OK: true, Value: document}))
	}
	return builtin{declaration, call}
}
