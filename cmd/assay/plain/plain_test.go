package plain_test

import (
	"testing"

	"github.com/assay-dev/assay/cmd/assay/plain"
)

func TestBelow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\nb":                "a\n  b",
		"a\tb\r\nc":           "a b \n  c",
		"\x1b[31m\u009b\x00":  "\uFFFD[31m\uFFFD\uFFFD",
		"\u202egnp\u200b":     "\uFFFDgnp\uFFFD",
		"\xff":                "\uFFFD",
		"naïve \U0001F600 日本": "naïve \U0001F600 日本",
	} {
		if got := plain.Below(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\nb":                "a b",
		"a\r\nb\u2028c\u0085": "a  b c ",
		"\x1b[31m\u202e":      "\uFFFD[31m\uFFFD",
	} {
		if got := plain.Line(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
