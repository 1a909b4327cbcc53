package bounded

import (
	"bytes"
	"errors"
)

// Raw is a value that is not decoded yet. It is a part of the document and no copy,
// which json.RawMessage is.
type Raw []byte

// UnmarshalJSON keeps the value.
func (r *Raw) UnmarshalJSON(value []byte) error {
	*r = value
	return nil
}

// MarshalJSON returns the value, null where there is none.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r, nil
}

// Absent says whether there is no value, or null.
func (r Raw) Absent() bool { return len(r) == 0 || string(r) == "null" }

// Each decodes the elements of a list one after another, so that a list that is
// refused in the end was never in memory as a whole. An absent list has none. The
// paths that visit gets, and those of errors, begin with that of the list.
func Each[T any](path string, list Raw, visit func(path string, element T) error) error {
	if list.Absent() {
		return nil
	}
	if list[0] != '[' {
		return Within(path, Decode(list, &[]T{}))
	}
	var element, zero T
	for i, rest := 0, skip(list[1:]); rest[0] != ']'; i++ {
		n := length(rest)
		at := At(path, i)
		element = zero
		if err := Decode(rest[:n], &element); err != nil {
			return Within(at, err)
		}
		if err := visit(at, element); err != nil {
			return err
		}
		if rest = skip(rest[n:]); rest[0] == ',' {
			rest = skip(rest[1:])
		}
	}
	return nil
}

func skip(data []byte) []byte { return bytes.TrimLeft(data, " \t\r\n") }

// length is that of the valid value with which data begins.
func length(data []byte) int {
	w := walker{data: data}
	switch data[0] {
	case '"':
		return len(w.text())
	case '[', '{':
		for depth := 0; ; {
			switch data[w.at] {
			case '"':
				w.text()
				continue
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if w.at++; depth == 0 {
				return w.at
			}
		}
	}
	return bytes.IndexAny(data, ",] \t\r\n")
}

// Within puts a path before that of an error.
func Within(path string, err error) error {
	var refusal *Error
	if !errors.As(err, &refusal) || path == "" {
		return err
	}
	switch {
	case refusal.Path == "":
	case refusal.Path[0] == '[':
		path += refusal.Path
	default:
		path += "." + refusal.Path
	}
	return &Error{Code: refusal.Code, Path: path, Message: refusal.Message}
}
