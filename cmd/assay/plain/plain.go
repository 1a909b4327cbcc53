// Package plain keeps what others wrote from speaking to the terminal: text of
// certificates, policies, objects, registries and capsules.
package plain

import (
	"strings"
	"unicode"
)

// Text is a text without what moves a cursor, turns the direction of writing, or is not
// seen. Lines stay lines.
func Text(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '\uFFFD'
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// Below is such a text whose lines are indented but for the first: none of them looks
// like a line of ours.
func Below(text string) string { return strings.ReplaceAll(Text(text), "\n", "\n  ") }

// Line is such a text on one line.
func Line(text string) string { return strings.ReplaceAll(Text(text), "\n", " ") }
