package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/purl"
)

// validity is the answer of purl.is_valid.
type validity struct {
	OK    bool             `json:"ok"`
	Error *declare.Problem `json:"error"`
}

func purlIsValid() declare.Builtin {
	return declare.Builtin{
		Name:   "purl.is_valid",
		Text:   "Decides whether `purl.parse` reads a text.",
		Args:   []declare.Field{declare.Named("purl", types.A, "what may be a package URL")},
		Answer: "`ok` when it is a package URL",
		Codes:  []declare.Code{declare.Malformed, declare.TooLarge},
		Examples: []declare.Example{{
			Expression: `purl.is_valid("npm/app")`,
			Value:      `{"ok": false, "error": {"code": "malformed", "message": "purl: got \"npm/app\", want a package URL as in pkg:TYPE/NAME@VERSION"}}`,
		}},
		Call: func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			text, p := declare.Text("purl", operands[0])
			if p == nil {
				if _, err := purl.Parse(text); err != nil {
					p = problem("purl", err)
				}
			}
			return iter(declare.Term(validity{OK: p == nil, Error: p}))
		},
	}
}
