package capsule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// word is what texts have in them that repeat nothing: a word, or a small number.
var word = regexp.MustCompile(`^(?:[a-z]{0,11}|[0-9.]{0,5}|.{0,3})$`)

// Repeated masks what a text repeats of values that were masked: a policy may put them
// into its messages. What stands in one of the documents that are shown anyway, such as
// an image that a variable names too, is no secret, and a single word is none.
func (m *Mask) Repeated(text string, shown ...[]byte) string {
	longest := func(a, b string) int { // what has others in it comes first
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	}
	for _, value := range slices.SortedFunc(maps.Keys(m.tokens), longest) {
		spelled := quoted(value, false) // as it is in an object that is printed
		if word.MatchString(value) || !strings.Contains(text, value) && !strings.Contains(text, spelled) {
			continue
		}
		stands := func(document []byte) bool {
			return bytes.Contains(document, []byte(spelled)) || bytes.Contains(document, []byte(quoted(value, true)))
		}
		if slices.ContainsFunc(shown, stands) {
			continue
		}
		text = replaced(replaced(text, value, m.tokens[value]), spelled, m.tokens[value])
	}
	return text
}

// replaced puts a token in the place of a value. A short one has to stand by itself.
func replaced(text, value, token string) string {
	const short = 8
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, value)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		first, _ := utf8.DecodeRuneInString(after)
		if len(value) < short && (alphanumeric(last) || alphanumeric(first)) {
			out.WriteString(value)
		} else {
			out.WriteString(token)
		}
		text = after
	}
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// quoted is a text as it is within JSON.
func quoted(text string, html bool) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(html)
	_ = encoder.Encode(text) // a text can be written
	return out.String()[1 : out.Len()-2]
}
