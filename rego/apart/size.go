package apart

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// errFull ends a walk early.
var errFull = errors.New("full")

// Within says whether a value has at most that many bytes as JSON, without
// spaces, escapes and exponents.
func Within(value ast.Value, bytes int) bool {
	return newMeter(bytes).take(value) == nil
}

func newMeter(bytes int) *meter {
	m := &meter{left: bytes + 1} // a comma is counted behind every value
	m.each = func(t *ast.Term) error { return m.take(t.Value) }
	m.pair = func(key, t *ast.Term) error {
		if err := m.take(key.Value); err != nil {
			return err
		}
		return m.take(t.Value)
	}
	return m
}

// meter is what is left while a value is walked.
type meter struct {
	left int
	each func(*ast.Term) error
	pair func(key, t *ast.Term) error
}

// take subtracts the size of a value, and of the comma or colon behind it, from
// what is left. The last comma in an array or an object makes up for one bracket.
func (m *meter) take(value ast.Value) error {
	size, err := 2, error(nil)
	switch v := value.(type) {
	case ast.String:
		size = len(v) + 3
	case ast.Number:
		size = written(string(v)) + 1
	case *ast.Array:
		err = v.Iter(m.each)
	case ast.Set:
		err = v.Iter(m.each)
	case ast.Object:
		err = v.Iter(m.pair)
	default:
		size = 5 // true, null
	}
	if m.left -= size; err == nil && m.left < 0 {
		err = errFull
	}
	return err
}

// written is how long a number is without an exponent, about: 1e30000 is seven
// bytes, and a sum of such numbers takes a builtin hours.
func written(number string) int {
	e := strings.IndexAny(number, "eE")
	if e < 0 {
		return len(number)
	}
	zeros, err := strconv.Atoi(number[e+1:])
	if err != nil { // no machine's number
		return math.MaxInt32
	}
	return len(number) + max(zeros, -zeros)
}
