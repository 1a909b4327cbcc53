// Package expression bounds the regular expressions of identities.
package expression

import (
	"fmt"
	"regexp/syntax"
)

const (
	// maxExpression is read and compiled in milliseconds.
	maxExpression = 64 << 10
	// mostInstructions are executed for each character of an identity.
	mostInstructions = 1 << 16
	// mostPositions are what Go notes during a match, for each instruction the
	// beginning and the end of each group: 32 MiB.
	mostPositions = 1 << 22
)

// Check refuses what is no expression of RE2, or one that costs more
// than a match may, and says what it costs. RE2 is linear in the text, times an
// expression in which x{1000} counts a thousand times.
func Check(expression string) (instructions int, err error) {
	if len(expression) > maxExpression {
		return 0, fmt.Errorf("got %d characters, want at most %d", len(expression), maxExpression)
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	instructions = len(program.Inst)
	switch groups := program.NumCap/2 - 1; {
	case instructions > mostInstructions:
		return instructions, fmt.Errorf("got an expression of %d instructions, want at most %d", instructions, mostInstructions)
	case instructions*program.NumCap > mostPositions:
		return instructions, fmt.Errorf("got %d groups in an expression of %d instructions, want fewer, or (?:…) that capture nothing", groups, instructions)
	}
	return instructions, nil
}
