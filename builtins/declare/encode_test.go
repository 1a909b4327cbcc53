package declare_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/builtins/declare"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value ast.Value
		most  int
		want  string // or
		code  declare.Code
		says  string
	}{
		{name: "an object", value: ast.MustParseTerm(`{"b": [1, null, true], "a": "<&>"}`).Value, most: 100, want: `{"a":"\u003c\u0026\u003e","b":[1,null,true]}`},
		{name: "numbers as they are written", value: ast.MustParseTerm(`[1.0, 1e3, 12345678901234567891]`).Value, most: 100, want: `[1.0,1e3,12345678901234567891]`},
		{name: "a text is the document itself", value: ast.String(`{"a": 1.0}`), most: 10, want: `{"a": 1.0}`},
		{name: "a text that is too long", value: ast.String("12345"), most: 4, code: declare.TooLarge, says: "x: got more than 4 bytes"},
		{name: "a text within that is too long", value: ast.MustParseTerm(`["12345"]`).Value, most: 4, code: declare.TooLarge, says: "x: got more than 4 bytes"},
		{name: "too long by its end", value: ast.MustParseTerm(`[[[1]]]`).Value, most: 6, code: declare.TooLarge, says: "x: got more than 6 bytes"},
		{name: "as long as it may be", value: ast.MustParseTerm(`[[[1]]]`).Value, most: 7, want: `[[[1]]]`},
		{name: "a set", value: ast.MustParseTerm(`{1}`).Value, most: 100, code: declare.Malformed, says: "x: got set, want JSON"},
		{name: "a member without a name", value: ast.MustParseTerm(`{1: 2}`).Value, most: 100, code: declare.Malformed, says: "for the name of a member"},
		{name: "a long number", value: ast.Number(strings.Repeat("1", 401)), most: 1000, code: declare.TooLarge, says: "a number of 401 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, p := declare.Document("x", ast.NewTerm(tt.value), tt.most)
			switch {
			case p == nil && (tt.code != "" || string(got) != tt.want):
				t.Errorf("got %s, want %s%s", got, tt.want, tt.code)
			case p != nil && (p.Code != tt.code || !strings.Contains(p.Message, tt.says)):
				t.Errorf("got %+v, want %s%s: %s", p, tt.want, tt.code, tt.says)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`["b", "a"]`: "b a", `{"b", "a"}`: "a b", `[]`: "", `set()`: "",
		`["a", 1]`: "malformed x[1]: got number, want a string", `"a"`: "malformed x: got string, want an array or a set of strings",
		`{"a": "b"}`: "malformed x: got object, want an array or a set of strings",
	} {
		got, p := declare.Texts("x", ast.MustParseTerm(value))
		text := strings.Join(got, " ")
		if p != nil {
			text = string(p.Code) + " " + p.Message
		}
		if text != want {
			t.Errorf("%s: got %q, want %q", value, text, want)
		}
	}
}

// FuzzDocument: what leaves Rego is what came in.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{"a": [1, 2.50, -0.0, 1e5, null, "\u0000\ud800"]}`, `"text"`, `[[], {}]`, `1e400`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		value, err := ast.ValueFromReader(bytes.NewReader(content))
		if err != nil {
			return
		}
		for name, encode := range map[string]func() ([]byte, *declare.Problem){
			"Document": func() ([]byte, *declare.Problem) { return declare.Document("x", ast.NewTerm(value), 1<<20) },
			"Encode":   func() ([]byte, *declare.Problem) { return declare.Encode("x", value) },
		} {
			got, p := encode()
			if _, text := value.(ast.String); p != nil || text && name == "Document" {
				continue
			}
			if !json.Valid(got) {
				t.Fatalf("%s: got %q, want JSON", name, got)
			}
			again, err := ast.ValueFromReader(bytes.NewReader(got))
			if err != nil || name == "Document" && again.Compare(value) != 0 {
				t.Errorf("%s: got %s and error %v, want %s", name, got, err, value)
			}
		}
	})
}
