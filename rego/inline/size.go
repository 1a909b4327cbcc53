package inline

import (
	"errors"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// errFull ends a walk early.
var errFull = errors.New("full")

// within says whether a value has at most that many bytes as JSON, without
// spaces, escapes and exponents.
func within(value ast.Value, bytes int) bool {
	bytes++ // take counts a comma behind every value
	return take(value, &bytes) == nil
}

// take subtracts the size of a value, and of the comma or colon behind it, from
// what is left. The last comma in an array or an object makes up for one bracket.
func take(value ast.Value, left *int) error {
	each := func(t *ast.Term) error { return take(t.Value, left) }
	size, err := 2, error(nil)
	switch v := value.(type) {
	case ast.String:
		size = len(v) + 3
	case ast.Number:
		size = written(string(v)) + 1
	case *ast.Array:
		err = v.Iter(each)
	case ast.Set:
		err = v.Iter(each)
	case ast.Object:
		err = v.Iter(func(key, t *ast.Term) error {
			if err := each(key); err != nil {
				return err
			}
			return each(t)
		})
	default:
		size = 5 // true, null
	}
	if *left -= size; err == nil && *left < 0 {
		err = errFull
	}
	return err
}

// written is how long a number is without an exponent, about: 1e30000 is seven
// bytes, and a sum of such numbers takes a builtin hours.
func written(number string) int {
	_, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	zeros, _ := strconv.Atoi(exponent) // 0 where there is none
	return len(number) + max(zeros, -zeros)
}
