// Package bounded reads JSON that strangers wrote: the predicates of attestations.
// Before anything is decoded one pass over the bytes bounds size, depth and count,
// and refuses what two readers could read differently: duplicate keys, invalid
// UTF-8, numbers of absurd size. Decoding compares names exactly.
//
// Every refusal is an [Error] that names the field. The package opens nothing and
// reads no clock.
package bounded

import "fmt"

// Code is what kind of refusal an error is. The list is closed.
type Code string

// The codes, which are those that builtins answer with.
const (
	Malformed   Code = "malformed"   // not what its format says
	TooLarge    Code = "too_large"   // past a bound
	Unsupported Code = "unsupported" // well-formed, and of a kind that is not read here
)

// Error is why a document is not read.
type Error struct {
	Code Code
	// Path is the field, as in packages[3].name; empty for the document itself.
	Path string
	// Message says what was got and what was wanted.
	Message string
}

// Error is the path and the message.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Refuse returns an [Error]. The message is written as for fmt.Sprintf.
func Refuse(code Code, path, format string, args ...any) *Error {
	return &Error{Code: code, Path: path, Message: fmt.Sprintf(format, args...)}
}
