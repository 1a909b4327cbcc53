package declare

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The bounds of a document that leaves Rego.
const (
	// mostEncoded is for [Encode]: what is evaluated against a policy takes time.
	mostEncoded   = 4 << 20
	deepest       = 1000
	longestNumber = 400
)

// encoder writes a value of Rego as JSON, the same for the same value: members in
// order of their names, and numbers as they are once a Go program has read them.
type encoder struct {
	operand string
	most    int
	// asWritten leaves numbers as they are.
	asWritten bool
	out       bytes.Buffer
}

// Encode is the JSON of an operand. Sets are not JSON, and are refused.
func Encode(operand string, v ast.Value) ([]byte, *Problem) {
	e := &encoder{operand: operand, most: mostEncoded}
	if p := e.value(v, 0); p != nil {
		return nil, p
	}
	return e.out.Bytes(), nil
}

// Document is the bytes of an operand that is a document, at most so many: the
// text of a string, and the JSON of everything else with its numbers as they are
// written. Sets are not JSON, and are refused.
func Document(operand string, t *ast.Term, most int) ([]byte, *Problem) {
	e := &encoder{operand: operand, most: most, asWritten: true}
	if text, ok := t.Value.(ast.String); ok {
		if len(text) > most {
			return nil, e.tooLarge()
		}
		return []byte(text), nil
	}
	if p := e.value(t.Value, 0); p != nil {
		return nil, p
	}
	if e.out.Len() > most {
		return nil, e.tooLarge()
	}
	return e.out.Bytes(), nil
}

func (e *encoder) tooLarge() *Problem {
	return e.fail(TooLarge, "got more than "+strconv.Itoa(e.most)+" bytes")
}

func (e *encoder) fail(code Code, message string) *Problem {
	return Refuse(code, e.operand+": "+message)
}

func (e *encoder) value(v ast.Value, depth int) *Problem {
	if depth > deepest {
		return e.fail(TooLarge, "got more than "+strconv.Itoa(deepest)+" values within each other")
	}
	if e.out.Len() > e.most {
		return e.tooLarge()
	}
	switch v := v.(type) {
	case ast.Null:
		e.out.WriteString("null")
	case ast.Boolean:
		e.out.WriteString(strconv.FormatBool(bool(v)))
	case ast.Number:
		return e.number(string(v))
	case ast.String:
		return e.text(string(v))
	case *ast.Array:
		return e.array(v, depth)
	case ast.Object:
		return e.object(v, depth)
	default:
		return e.fail(Malformed, "got "+ast.ValueName(v)+", want JSON")
	}
	return nil
}

func (e *encoder) array(v *ast.Array, depth int) *Problem {
	e.out.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			e.out.WriteByte(',')
		}
		if p := e.value(v.Elem(i).Value, depth+1); p != nil {
			return p
		}
	}
	e.out.WriteByte(']')
	return nil
}

func (e *encoder) object(v ast.Object, depth int) *Problem {
	e.out.WriteByte('{')
	for i, key := range v.Keys() { // sorted
		if i > 0 {
			e.out.WriteByte(',')
		}
		name, ok := key.Value.(ast.String)
		if !ok {
			return e.fail(Malformed, "got "+ast.ValueName(key.Value)+" for the name of a member, want a string")
		}
		if p := e.text(string(name)); p != nil {
			return p
		}
		e.out.WriteByte(':')
		if p := e.value(v.Get(key).Value, depth+1); p != nil {
			return p
		}
	}
	e.out.WriteByte('}')
	return nil
}

func (e *encoder) text(s string) *Problem {
	if e.asWritten && len(s) > e.most { // before it is written twice
		return e.tooLarge()
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		return e.fail(Malformed, err.Error())
	}
	e.out.Write(encoded)
	return nil
}

// number writes whole numbers as they are, and others as cosign passes them on:
// 1.0 is 1, 1e3 is 1000. To CUE they are not the same.
func (e *encoder) number(text string) *Problem {
	if len(text) > longestNumber {
		return e.fail(TooLarge, "got a number of "+strconv.Itoa(len(text))+" characters, want at most "+strconv.Itoa(longestNumber))
	}
	if e.asWritten || !strings.ContainsAny(text, ".eE") {
		e.out.WriteString(text)
		return nil
	}
	float, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return e.fail(Malformed, "got the number "+text+", want one that a double holds")
	}
	encoded, err := json.Marshal(float)
	if err != nil {
		return e.fail(Malformed, err.Error())
	}
	e.out.Write(encoded)
	return nil
}
