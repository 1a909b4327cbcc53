package cue

import (
	"encoding/json"
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
)

// Code names why a document was refused. The codes are part of the closed list
// that package builtins documents.
type Code string

// The codes.
const (
	// NotCompliant: the policy was evaluated and says no.
	NotCompliant Code = "not_compliant"
	// Malformed: the policy is not CUE, the document is not JSON, or one of them
	// breaks the evaluator.
	Malformed Code = "malformed"
	// TooLarge: more bytes, or a deeper document, than is evaluated.
	TooLarge Code = "too_large"
	// Timeout: no verdict in time.
	Timeout Code = "timeout"
)

// Refusal is a verdict that is not yes. It is an answer, not a failure of the
// program.
type Refusal struct {
	Code    Code
	Message string
}

// Error makes a Refusal usable where an error is expected.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Message }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: cut(fmt.Sprintf(format, args...))}
}

// The bounds of what is evaluated, and of what is said about it: CUE repeats the
// values that conflict, and they are those of whoever signed.
//
// Documents come from whoever signed, or wrote the object, so that they are bounded
// by what CUE makes of them: a kilobyte or more for each value, and for each member
// of an array or object a look at all members before it.
const (
	mostPolicy     = 256 << 10
	mostDocument   = 4 << 20
	mostValues     = 100_000
	mostMembers    = 20_000
	deepest        = 1000
	longestMessage = 4 << 10
)

func cut(text string) string {
	if len(text) <= longestMessage {
		return text
	}
	return strings.ToValidUTF8(text[:longestMessage], "") + "…"
}

// tooLong refuses by size alone.
func tooLong(policy string, document []byte) *Refusal {
	switch {
	case len(policy) > mostPolicy:
		return refuse(TooLarge, "the cue policy: got %d bytes, want at most %d", len(policy), mostPolicy)
	case len(document) > mostDocument:
		return refuse(TooLarge, "the document: got %d bytes, want at most %d", len(document), mostDocument)
	}
	return nil
}

// tooMuch refuses a document that is not JSON, and one that is not worth a try.
func tooMuch(document []byte) *Refusal {
	if !json.Valid(document) {
		return refuse(Malformed, "the document: want JSON")
	}
	values, members, depth := measure(document)
	switch {
	case depth > deepest:
		return refuse(TooLarge, "the document: got %d values within each other, want at most %d", depth, deepest)
	case members > mostMembers:
		return refuse(TooLarge, "the document: got %d members of an array or object, want at most %d", members, mostMembers)
	case values > mostValues:
		return refuse(TooLarge, "the document: got %d values, want at most %d", values, mostValues)
	}
	return nil
}

// measure counts in valid JSON: values, members of the largest array or object, and
// how deep those are nested. An empty array counts one member.
func measure(document []byte) (values, members, depth int) {
	var open []int // members of the arrays and objects around
	values = 1
	for i, quoted := 0, false; i < len(document); i++ {
		switch c := document[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			open = append(open, 1)
			values++
			members, depth = max(members, 1), max(depth, len(open))
		case c == ',':
			open[len(open)-1]++
			values++
			members = max(members, open[len(open)-1])
		case c == '}', c == ']':
			open = open[:len(open)-1]
		}
	}
	return values, members, depth
}

// decide is what cosign does, with its texts. pure says that the same question
// has the same verdict always.
func decide(policy string, document []byte, concrete bool) (verdict *Refusal, pure bool) {
	defer func() {
		if cause := recover(); cause != nil {
			verdict, pure = refuse(Malformed, "the cue policy broke the evaluator: %.200v", cause), false
		}
	}()
	// A context keeps all that was ever compiled in it: one for each question. The
	// environment of the process is not asked how to evaluate.
	ctx := cuecontext.New(cuecontext.EvaluatorVersion(cuecontext.EvalStable), cuecontext.CUE_DEBUG(""))
	wanted := ctx.CompileString(policy)
	if err := wanted.Err(); err != nil {
		return refuse(Malformed, "failed to compile the cue policy with error: %v", err), true
	}
	given := ctx.CompileBytes(document)
	if err := given.Err(); err != nil {
		return refuse(Malformed, "failed to compile the attestation data with error: %v", err), true
	}
	if err := wanted.Unify(given).Validate(cue.Concrete(concrete)); err != nil {
		return refuse(NotCompliant, "failed to evaluate the policy with error: %v", err), true
	}
	return nil, true
}
