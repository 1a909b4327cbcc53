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
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/bounded"
)

// Builtins are those of this package, in the order of their documentation.
func Builtins() []declare.Builtin {
	return []declare.Builtin{
		slsaProvenance(), sbomPackages(), vulnFindings(), vexApply(), purlParse(), purlIsValid(), x509Extensions(),
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
		return iter(answered(read, operands))
	}
}

func answered(read func(operands []*ast.Term) (any, *declare.Problem), operands []*ast.Term) *ast.Term {
	value, p := read(operands)
	if p != nil {
		return declare.Term(answer{Error: p})
	}
	return declare.Term(answer{OK: true, Value: value})
}

// documentArgument is a predicate in one of the forms in which policies have it.
func documentArgument(text string) declare.Field {
	return declare.Named("document", types.A, text)
}

// document reads the operand of a document.
func document(t *ast.Term) ([]byte, *declare.Problem) {
	return declare.Document("document", t, bounded.MaxBytes)
}

// problem gives an error of package predicate its code. operand names what was
// read, "" where the error does.
func problem(operand string, err error) *declare.Problem {
	err = bounded.Within(operand, err)
	var refusal *bounded.Error
	if !errors.As(err, &refusal) {
		return declare.Refuse(declare.Malformed, operand+": "+err.Error())
	}
	return declare.Refuse(declare.Code(refusal.Code), refusal.Error())
}

// predicateCodes are what reading a predicate answers.
func predicateCodes() []declare.Code {
	return []declare.Code{declare.Malformed, declare.TooLarge, declare.Unsupported}
}
