package declare

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Term turns an answer into the value that Rego sees, by its JSON form: Go and
// Rego share one codec for each type.
func Term(answer any) *ast.Term {
	out, _ := Sized(answer)
	return out
}

// Sized is [Term], and the size of the JSON form in bytes.
func Sized(answer any) (*ast.Term, int64) {
	text, err := json.Marshal(answer)
	if err == nil {
		var value ast.Value
		if value, err = ast.ValueFromReader(bytes.NewReader(text)); err == nil {
			return ast.NewTerm(value), int64(len(text))
		}
	}
	// Answers are plain data of ours and the statements in them were parsed
	// before, so this cannot happen; if it does, nothing is verified.
	return ast.ObjectTerm(
		ast.Item(ast.StringTerm("ok"), ast.BooleanTerm(false)),
		ast.Item(ast.StringTerm("error"), ast.ObjectTerm(
			ast.Item(ast.StringTerm("code"), ast.StringTerm(string(Malformed))),
			ast.Item(ast.StringTerm("message"), ast.StringTerm("answer: "+err.Error())),
		)),
	), 0
}

// Text reads a string operand.
func Text(operand string, t *ast.Term) (string, *Problem) {
	s, ok := t.Value.(ast.String)
	if !ok {
		return "", Refuse(Malformed, operand+": got "+ast.ValueName(t.Value)+", want a string")
	}
	return string(s), nil
}

// Texts reads an operand that is an array or a set of strings. Of a set they are
// in order.
func Texts(operand string, t *ast.Term) ([]string, *Problem) {
	var list *ast.Array
	switch value := t.Value.(type) {
	case *ast.Array:
		list = value
	case ast.Set:
		list = value.Sorted()
	default:
		return nil, Refuse(Malformed, operand+": got "+ast.ValueName(t.Value)+", want an array or a set of strings")
	}
	out := make([]string, list.Len())
	for i := range out {
		var p *Problem
		if out[i], p = Text(operand+"["+strconv.Itoa(i)+"]", list.Elem(i)); p != nil {
			return nil, p
		}
	}
	return out, nil
}
