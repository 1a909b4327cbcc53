package cip

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// This file bounds what one policy may hold. Upstream has no such bounds but that
// of etcd, 1.5 MiB; nothing that was seen is near them.
const (
	// mostImages take a few seconds to compile and a tenth of one to ask.
	mostImages = 10_000
	// mostAuthorities and mostAttestations are each a question to a registry.
	mostAuthorities  = 256
	mostAttestations = 256
	mostMatch        = 1_000
	// mostIdentities go along with each question: a fifth of a second.
	mostIdentities = 10_000
	// maxExpression is read and compiled in milliseconds.
	maxExpression = 64 << 10
	// mostInstructions are executed for each character of an identity.
	mostInstructions = 1 << 16
	// mostTogether are the instructions of all expressions of a policy: all of them are
	// compiled for each question, and lie in memory beside each other.
	mostTogether = 1 << 21
	// mostPositions are what Go notes during a match, for each instruction the
	// beginning and the end of each group: 32 MiB.
	mostPositions = 1 << 22
	// maxExcerpt is how much of a value, or of what a library says about it, is
	// repeated in an error.
	maxExcerpt = 512
)

// most reports a list that is too long, and whether it is: what else is wrong
// with a list of that length is not said.
func (v *validation) most(what string, got, most int, path string) bool {
	if got > most {
		v.add(fmt.Sprintf("too many %s: got %d, want at most %d", what, got, most), "", path)
	}
	return got > most
}

// excerpt is enough of a text to find it by.
func excerpt(text string) string {
	if len(text) <= maxExcerpt {
		return text
	}
	return strings.ToValidUTF8(text[:maxExcerpt], "") + "…"
}

// expression checks one of an identity. After too many nothing more is looked at.
func (v *validation) expression(expression, path string) {
	if expression == "" || v.instructions > mostTogether {
		return
	}
	instructions, err := checkExpression(expression)
	if err != nil {
		v.invalid(expression, path, "regex is invalid: "+err.Error())
	}
	if v.instructions += instructions; v.instructions > mostTogether {
		v.add(fmt.Sprintf("too many instructions: got more than %d in all expressions of the policy", mostTogether), "", path)
	}
}

// checkExpression refuses what is no expression of RE2, or one that costs more
// than a match may, and says what it costs. RE2 is linear in the text, times an
// expression in which x{1000} counts a thousand times.
func checkExpression(expression string) (instructions int, err error) {
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
