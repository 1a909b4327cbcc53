// Package declare is what the declarations of all builtins share: what one is
// ([Builtin]), why it has no better answer ([Problem], [Code]), closed types for
// what it answers ([Closed]), and values on their way from Go to Rego ([Term])
// and back ([Text], [Encode]).
//
// It decides nothing and asks nobody. What comes from Rego is bounded here before
// it is Go's.
package declare

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// Builtin is one function that Rego may call: what it is declared as and what its
// documentation is made of, and its code.
type Builtin struct {
	Name string
	// Text says in a sentence or two what it does.
	Text string
	Args []Field
	// Answer says what the answer is, which has the members ok, Members and error.
	Answer  string
	Members []Field
	// Error are the members of its error besides code and message.
	Error []Field
	// Codes are those of the problems that it answers.
	Codes []Code
	// Nondeterministic is for an answer that depends on more than the arguments:
	// it is not computed when policies are compiled, and it is recorded.
	Nondeterministic bool
	// Examples are run by a test and printed in the documentation.
	Examples []Example
	Call     topdown.BuiltinFunc
}

// Example is an expression that calls a builtin, and the JSON of its value. Both
// may name what package world mints, as in ${app@}. Where a string of the value
// has "…", anything may stand.
type Example struct{ Expression, Value string }

// Declaration is the builtin as OPA's capabilities list it.
func (b Builtin) Declaration() *ast.Builtin {
	arguments := make([]types.Type, len(b.Args))
	for i, argument := range b.Args {
		arguments[i] = types.Named(argument.Name, argument.Type).Description(argument.Text)
	}
	wrong := append([]Field{Named("code", types.S, ""), Named("message", types.S, "")}, b.Error...)
	answer := slices.Concat([]Field{Named("ok", types.B, "")}, b.Members, []Field{ObjectOrNull("error", "", wrong...)})
	return &ast.Builtin{
		Name:             b.Name,
		Description:      b.Text + " Answers " + enumerate(b.Codes) + ".",
		Decl:             types.NewFunction(arguments, types.Named("answer", Closed(answer...)).Description(b.Answer)),
		Nondeterministic: b.Nondeterministic,
	}
}

// Function is Call as OPA is to have it: with the arguments alone. Behind them OPA puts
// the variable that takes the result, which has another name at every place that calls,
// so that no call would be known for the one that was answered before.
func (b Builtin) Function() topdown.BuiltinFunc {
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		return b.Call(bctx, operands[:min(len(operands), len(b.Args))], iter)
	}
}

// enumerate writes "a, b and c".
func enumerate(codes []Code) string {
	words := make([]string, len(codes))
	for i, code := range codes {
		words[i] = string(code)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
