package bounded_test

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/bounded"
)

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, code, want string }{
		{"nothing", "", "malformed", "unexpected end of JSON input at byte 0"},
		{"a document that is cut off", `{"a": [1`, "malformed", "unexpected end of JSON input at byte 8"},
		{"two documents", `{} {}`, "malformed", "invalid character"},
		{"bytes that are not UTF-8", "\"\xff\"", "malformed", "not UTF-8"},
		{"a key twice", `{"a": 1, "b": 2, "a": 3}`, "malformed", "a: got the key twice, want it once"},
		{"a key twice, once escaped", `{"a": 1, "\u0061": 2}`, "malformed", "a: got the key twice"},
		{"keys that decode to the same replacement", `{"\ud800": 1, "\udfff": 2}`, "malformed", "got the key twice"},
		{"a key twice, deep", `{"x": [0, {"y z": {"k": 1, "k": 1}}]}`, "malformed", `x[1]["y z"].k: got the key twice`},
		{"a key twice, many apart", `{"k":0,` + members(5000) + `,"k":1}`, "malformed", "k: got the key twice"},
		{"an empty key twice", `{"":0,"":1}`, "malformed", `[""]: got the key twice`},
		{"deep lists", strings.Repeat("[", 65) + strings.Repeat("]", 65), "too_large", "deeper than 64"},
		{"very deep lists", strings.Repeat("[", 20_000), "too_large", "deeper than 64"},
		{"very deep objects", strings.Repeat(`{"a":`, 20_000), "too_large", "deeper than 64"},
		{"a long number", `{"n": ` + strings.Repeat("1", 65) + `}`, "too_large", "n: got a number of 65 digits"},
		{"a number with a large exponent", `[0, 1e999999999]`, "too_large", "[1]: got a number of 1 digits and 9 of exponent"},
		{"too many objects", "[" + strings.Repeat("{},", bounded.MaxObjects) + "{}]", "too_large", "[250000]: got more than 250000 objects"},
		{"too many values", "[" + strings.Repeat("0,", bounded.MaxValues) + "0]", "too_large", "got more than 1000000 values"},
		{"too many bytes", strings.Repeat(" ", bounded.MaxBytes) + "0", "too_large", "got 16777217 bytes, want at most 16777216"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, bounded.Check([]byte(tt.data)), tt.code, tt.want)
		})
	}
}

func members(n int) string {
	var out strings.Builder
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(`"m` + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/50) + `":0`)
	}
	return out.String()
}

// refused wants a *bounded.Error with a code and a text.
func refused(t *testing.T, err error, code, want string) {
	t.Helper()
	var got *bounded.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want an error of this package", err)
	}
	if string(got.Code) != code || !strings.Contains(got.Error(), want) {
		t.Errorf("got %s: %s, want %s: …%s…", got.Code, got, code, want)
	}
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`, `[]`, `null`, ` "a" `, `-1.5e+10`, `[true,false,null,"\"\\",{"a":{"a":[{"a":0},{"a":0}]}}]`,
		`{"path": 1, "PATH": 2}`, // names differ in case: two names
		"{" + members(1000) + "}",
		strings.Repeat("[", 64) + strings.Repeat("]", 64),
		"[" + strings.Repeat("{},", bounded.MaxObjects-1) + "{}]",
		`{"n": 1e000000000000005}`,
	} {
		if err := bounded.Check([]byte(data)); err != nil {
			t.Errorf("%.60s: got %v, want no error", data, err)
		}
	}
}

// A hundred megabytes cost nothing, and what is within the bounds costs a few words
// for each key that is open.
func TestCheckAllocatesLittle(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		most       uint64
	}{
		{"a hundred megabytes", strings.Repeat("[", 100<<20), 1 << 16},
		{"objects to the bound", "[" + strings.Repeat(`{"a":0},`, bounded.MaxObjects-1) + "{}]", 1 << 18},
		{"one object with very many keys", `{"a":{` + members(100_000) + `}}`, 16 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(tt.data)
			if got := allocated(tt.most, func() { _ = bounded.Check(data) }); got > tt.most {
				t.Errorf("got %d bytes allocated, want at most %d", got, tt.most)
			}
		})
	}
}

// allocated is how many bytes f allocates. What others allocate meanwhile is counted too,
// so it is the least of some runs where the first takes more than it may. Tests that call
// it are not parallel.
func allocated(most uint64, f func()) uint64 {
	least := uint64(math.MaxUint64)
	for run := 0; run < 10 && least > most; run++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	type element struct {
		Name  string             `json:"name"`
		Tags  []string           `json:"tags"`
		Score *float64           `json:"score"`
		Good  bool               `json:"good"`
		Count int                `json:"count"`
		By    map[string]string  `json:"by"`
		In    struct{ X string } `json:"in"`
	}
	for _, tt := range []struct{ name, data, want string }{
		{"a number for a text", `{"list": [{"name": "a"}, {"name": 5, "tags": []}]}`, "list[1].name: got a number, want a string"},
		{"a list for a text", `{"list": [{"name": ["a"]}]}`, "list[0].name: got a list, want a string"},
		{"an object for a list", `{"list": [{"tags": {"a": "b"}}]}`, "list[0].tags: got an object, want a list"},
		{"a text for a list", `{"other": 1, "list": "a"}`, "list: got a string, want a list"},
		{"a text in a list of objects", `{"list": [{}, "a"]}`, "list[1]: got a string, want an object"},
		{"a boolean in a list of texts", `{"list": [{"tags": ["a", true]}]}`, "list[0].tags[1]: got a boolean, want a string"},
		{"a text for a number", `{"list": [{"score": "9.8"}]}`, "list[0].score: got a string, want a number"},
		{"a fraction for a whole number", `{"list": [{"count": 1.5}]}`, "list[0].count: got a number 1.5, want a number"},
		{"a number that is too large", `{"list": [{"score": 1e400}]}`, "list[0].score: got a number 1e400, want a number"},
		{"a text for a boolean", `{"list": [{"good": "no"}]}`, "list[0].good: got a string, want a boolean"},
		{"a number in a map", `{"list": [{"by": {"a": "b", "c d": 1}}]}`, `list[0].by["c d"]: got a number, want a string`},
		{"a list for an object", `{"list": [{"in": []}]}`, "list[0].in: got a list, want an object"},
		{"a list for the document", `[]`, "got a list, want an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out struct {
				List []element `json:"list"`
			}
			if err := bounded.Check([]byte(tt.data)); err != nil {
				t.Fatal(err)
			}
			refused(t, bounded.Decode([]byte(tt.data), &out), "malformed", tt.want)
		})
	}
}

// encoding/json would read both.
func TestDecodeComparesNamesExactly(t *testing.T) {
	t.Parallel()
	var got struct{ A, B string }
	if err := bounded.Decode([]byte(`{"a": "x", "B": "y"}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.A != "" || got.B != "y" {
		t.Errorf("got %+v, want B only", got)
	}
}

func TestUnwrap(t *testing.T) {
	t.Parallel()
	const statement = `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/t", "predicate": `
	for _, tt := range []struct{ name, data, want string }{
		{"the document", ` {"a": 1} `, `{"a": 1}`},
		{"a text", `"{\"a\": 1}"`, `{"a": 1}`},
		{"cosign's predicate around an object", `{"Data": {"a": 1}, "Timestamp": "2022-01-01T00:00:00Z"}`, `{"a": 1}`},
		{"cosign's predicate around a text", `{"Data": "{\"a\": 1}"}`, `{"a": 1}`},
		{"Data beside other fields is a field", `{"Data": "x", "a": 1}`, `{"Data": "x", "a": 1}`},
		{"a statement", statement + `{"a": 1}}`, `{"a": 1}`},
		{"a statement around cosign's predicate around a text", statement + `{"Data": "{\"a\": 1}"}}`, `{"a": 1}`},
		{"v0.1 of the statement", `{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://example.com/t", "predicate": {"a": 1}}`, `{"a": 1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := bounded.Unwrap([]byte(tt.data), []string{"https://example.com/t"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnwrapRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, code, want string }{
		{"no object", `[1]`, "malformed", "got no object, want a document"},
		{"null", `null`, "malformed", "got no object"},
		{"a text that is no JSON", `"SPDXVersion: SPDX-2.3"`, "malformed", "want JSON"},
		{"a key twice within a text", `"{\"a\": 1, \"a\": 2}"`, "malformed", "a: got the key twice"},
		{"wrapped again and again", `{"Data": {"Data": {"Data": {"Data": {"a": 1}}}}}`, "malformed", "wrapped more than 3 times"},
		{"a statement of another kind", `{"_type": "https://example.com/v9", "predicateType": "https://example.com/t", "predicate": {}}`, "unsupported", `_type: got "https://example.com/v9", want https://in-toto.io/Statement/v0.1 or https://in-toto.io/Statement/v1`},
		{"another predicate type", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/t2", "predicate": {}}`, "unsupported", `predicateType: got "https://example.com/t2", want https://example.com/t`},
		{"a predicate type that begins the same", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/t ", "predicate": {}}`, "unsupported", "predicateType"},
		{"no predicate", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/t"}`, "malformed", "predicate: got none, want one"},
		{"a statement with a number for a type", `{"_type": 1}`, "malformed", "_type: got a number, want a string"},
		{"a predicate of null", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/t", "predicate": null}`, "malformed", "got no object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bounded.Unwrap([]byte(tt.data), []string{"https://example.com/t"})
			refused(t, err, tt.code, tt.want)
		})
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	if got, err := bounded.Time("at", "2024-01-02T03:04:05+02:00"); err != nil || got != "2024-01-02T01:04:05Z" {
		t.Errorf("got %s, %v, want UTC", got, err)
	}
	if got, err := bounded.Time("at", ""); err != nil || got != "" {
		t.Errorf("got %q, %v, want nothing of nothing", got, err)
	}
	_, err := bounded.Time("at", "yesterday"+strings.Repeat("!", 1000))
	refused(t, err, "malformed", `at: got "yesterday!!!`)
}

// What passes decodes, and what a path names is found: nothing panics on the way.
func FuzzUnwrap(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,{"b":"c"}]}`, `"{}"`, `{"Data":"{}"}`, `{"a":1,"a":2}`, `[[[]]]`, `{"_type":"https://in-toto.io/Statement/v1","predicate":{}}`, "\"\\ud800\"", `-0.0e-0`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := bounded.Unwrap(data, nil)
		var refusal *bounded.Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("got %T, want an error of this package", err)
		}
		if err == nil && bounded.Check(got) != nil {
			t.Fatal("got a document that does not pass")
		}
		var out struct {
			A []struct{ B map[string]float64 } `json:"a"`
		}
		if bounded.Check(data) == nil {
			_ = bounded.Decode(data, &out)
		}
	})
}
