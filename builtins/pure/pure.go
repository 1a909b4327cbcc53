// Package pure has the builtins that need nothing but their arguments: package
// URLs, bills of materials, provenance, vulnerability reports, OpenVEX and
// certificates. Each has a file that is named for it.
//
// They ask no registry, read no clock, and work wherever Rego is evaluated. What
// they are given comes from strangers: it is bounded before it is read, and what
// they answer is what it says, which is as true as the signature that was verified
// over it.
package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/declare"
)

// Builtins are those of this package, in the order of their documentation.
func Builtins() []declare.Builtin {
	return []declare.Builtin{
		x509Extensions(),
	}
}

// answer is what most of the builtins answer.
type answer struct {
	OK    bool             `json:"ok"`
	Value any              `json:"value"` // null when not ok
	Error *declare.Problem `json:"error"`
}

// calling makes the code of a builtin from a function of its operands.
func calling(read func(operands []*ast.Term) (any, *declare.Problem)) topdown.BuiltinFunc {
	return func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		value, p := read(operands)
		if p != nil {
			return iter(declare.Term(answer{Error: p}))
		}
		return iter(declare.Term(answer{OK: true, Value: value}))
	}
}
