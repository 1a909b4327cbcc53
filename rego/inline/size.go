package inline

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
)

// errFull ends a walk early.
var errFull = errors.New("full")

// within says whether a value has at most that many bytes as JSON, counting
// strings as they are, without escapes.
func within(value ast.Value, bytes int) bool {
	return take(value, &bytes) == nil
}

// take subtracts the size of a value from what is left.
func take(value ast.Value, left *int) error {
	size := 1 // a comma
	switch v := value.(type) {
	case ast.String:
		size += len(v) + 2
	case ast.Number:
		size += len(v)
	case *ast.Array:
		if err := v.Iter(func(t *ast.Term) error { return take(t.Value, left) }); err != nil {
			return err
		}
	case ast.Set:
		if err := v.Iter(func(t *ast.Term) error { return take(t.Value, left) }); err != nil {
			return err
		}
	case ast.Object:
		err := v.Iter(func(k, t *ast.Term) error {
			if err := take(k.Value, left); err != nil {
				return err
			}
			return take(t.Value, left)
		})
		if err != nil {
			return err
		}
	default:
		size += 4
	}
	if *left -= size; *left < 0 {
		return errFull
	}
	return nil
}
