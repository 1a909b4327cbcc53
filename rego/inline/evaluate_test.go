package inline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/inline"
)

// TestValues has the value that comes back for each kind of isCompliant.
func TestValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want any
	}{
		"REGO-2: true":                           {`isCompliant { true }`, true},
		"REGO-2: false":                          {`isCompliant = false`, false},
		"REGO-2: undefined":                      {`isCompliant { false }`, nil},
		"REGO-3: a set, in the order of terms":   {"isCompliant[2]\nisCompliant[\"a\"]\nisCompliant[1]", []any{num("1"), num("2"), "a"}},
		"REGO-5: an empty set":                   {`isCompliant[x] { x := input.nothing }`, []any{}},
		"REGO-7: elements that are no objects":   {"isCompliant[7]\nisCompliant[x] { x := {\"result\": true} }", []any{num("7"), map[string]any{"result": true}}},
		"REGO-7: fields that are no booleans":    {`isCompliant[x] { x := {"result": "true", "error": 1} }`, []any{map[string]any{"result": "true", "error": num("1")}}},
		"9g: null, booleans and nested sets":     {"isCompliant[null]\nisCompliant[true]\nisCompliant[{1}]", []any{nil, true, []any{num("1")}}},
		"9g: an array":                           {`isCompliant = [{"result": true}]`, []any{map[string]any{"result": true}}},
		"an object":                              {`isCompliant = {"result": true}`, map[string]any{"result": true}},
		"an object of rules":                     {"isCompliant[\"a\"] = 1\nisCompliant[\"b\"] = 2", map[string]any{"a": num("1"), "b": num("2")}},
		"a string":                               {`isCompliant = "true"`, "true"},
		"a number keeps its digits":              {`isCompliant = 12345678901234567890.10`, num("12345678901234567890.10")},
		"null":                                   {`isCompliant = null`, nil},
		"9a: a function is undefined":            {`isCompliant(x) { x }`, nil},
		"9a: none is undefined":                  {`other { true }`, nil},
		"9e: a builtin that fails is undefined":  {`isCompliant { to_number("x") }`, nil},
		"9e: a division by zero is undefined":    {`isCompliant { x := 1 / 0; x }`, nil},
		"9d: the time is that of the decision":   {`isCompliant = time.now_ns()`, num(fmt.Sprint(at().UnixNano()))},
		"9d: print is silent and sees nothing":   {`isCompliant { print("x", input) }`, true},
		"9a: METADATA that is malformed is text": {"# METADATA\n# title: [\n# scope: nowhere\nisCompliant { true }", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, failure := ours(t.Context(), t, compile(t, c.body), `{}`)
			if failure != nil {
				t.Fatalf("got %v, want a value", *failure)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("value differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailures names what ends an evaluation without a value.
func TestFailures(t *testing.T) {
	t.Parallel()
	const conflict = "eval_conflict_error"
	for name, c := range map[string]struct {
		body    string
		want    apart.Code
		message string
		options []inline.Option
	}{
		"9e: two values":                     {"isCompliant = 1\nisCompliant = 2", apart.Malformed, conflict, nil},
		"9e: two of a function":              {"f(x) = 1\nf(x) = 2\nisCompliant { f(input) }", apart.Malformed, conflict, nil},
		"9e: one key twice":                  {`isCompliant = {"a": x | x := [1, 2][_]}`, apart.Malformed, conflict, nil},
		"9e: a loop without end":             {loop(), apart.Late, "took too long", quick()},
		"9e: a deaf builtin":                 {`isCompliant { x := numbers.range(1, 1900000); sum(x) > 0 }`, apart.Late, "took too long", quick()},
		"9e: strings that double":            {`isCompliant { x0 := "aaaaaaaa"; ` + doubling(18) + `x18 == "" }`, apart.Late, "", []inline.Option{inline.WithTimeout(time.Nanosecond)}},
		"9e: a value of 2 MB":                {`isCompliant = x17 { x0 := "aaaaaaaaaaaaaaaa"; ` + doubling(17) + `true }`, apart.TooLarge, "isCompliant: got more than 1048576 bytes", nil},
		"9e: an array that doubles":          {`isCompliant = x17 { x0 := [input.a, "aaaaaaaaaa"]; ` + strings.NewReplacer("[", "array.concat(", "]", ")").Replace(nesting(17)) + `true }`, apart.TooLarge, "isCompliant: got more", []inline.Option{inline.WithTimeout(time.Minute)}},
		"9e: a number of ten thousand zeros": {`isCompliant { sum([x | x := input.b[_]]) > 0 }`, apart.TooLarge, "document: got more than 9999 bytes", []inline.Option{inline.WithMaxInput(9999)}},
		"a document of 17 bytes":             {`isCompliant { true }`, apart.TooLarge, "document: got more than 16 bytes", []inline.Option{inline.WithMaxInput(16)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			options := append([]inline.Option{inline.WithTimeout(time.Minute)}, c.options...)
			got, failure := compile(t, c.body, options...).Evaluate(t.Context(), documentOf(name), at())
			if failure == nil {
				t.Fatalf("got value %v, want %s", got, c.want)
			}
			if failure.Code != c.want || !strings.Contains(failure.Message, c.message) {
				t.Errorf("got %v, want %s with %q", *failure, c.want, c.message)
			}
			if took := time.Since(start); took > 2*time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestDocumentSize counts as JSON does.
func TestDocumentSize(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`{"a":1,"b":[2,3]}`, `{"a":{"b":{"c":[true,null,15]}}}`, `[[[1]]]`, `"abc"`, `12`, `[]`, `{}`,
	} {
		value := ast.MustParseTerm(document).Value
		module := compile(t, `isCompliant { true }`, inline.WithMaxInput(len(document)))
		if _, failure := module.Evaluate(t.Context(), value, at()); failure != nil {
			t.Errorf("%s: got %v with a bound of its %d bytes", document, *failure, len(document))
		}
	}
}

// TestDeadlineOfTheCaller: the earlier of the two holds.
func TestDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	module := compile(t, loop(), inline.WithTimeout(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, failure := module.Evaluate(ctx, ast.NewObject(), at()); failure == nil || failure.Code != apart.Late {
		t.Errorf("got %v, want a timeout", failure)
	}
	quick := compile(t, `isCompliant { not input.bad }`)
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	for range 100 {
		value, failure := quick.Evaluate(cancelled, ast.NewObject(), at())
		if failure == nil || failure.Code != apart.Late || value != nil {
			t.Fatalf("got %v, %v, want a timeout for a caller that has left", value, failure)
		}
	}
}

// TestNoDocument is a mistake of the caller, and no panic.
func TestNoDocument(t *testing.T) {
	t.Parallel()
	value, failure := compile(t, `isCompliant { input.a }`).Evaluate(t.Context(), nil, at())
	if value != nil {
		t.Errorf("got %v, %v, want no value", value, failure)
	}
}

// TestNoRoom: evaluations that were left behind keep their room until they end, so
// a module that hangs is soon answered without running.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	// Half a million characters take this expression a while.
	module := compile(t, "isCompliant { x0 := \"aaaaaaaaaaaaaaaa\"; "+doubling(15)+" regex.match(`(a|b|ab)*c`, x15) }",
		inline.WithTimeout(time.Millisecond))
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, failure := module.Evaluate(t.Context(), ast.NewObject(), at()); failure == nil || failure.Code != apart.Late {
				t.Errorf("got %v, want a timeout", failure)
			}
		})
	}
	all.Wait()
}

// TestOneHurtsNoOther evaluates modules side by side: those that fail and hang
// leave the others their values.
func TestOneHurtsNoOther(t *testing.T) {
	t.Parallel()
	good := compile(t, `isCompliant { input.a == 1 }`, inline.WithTimeout(time.Minute))
	bad := []*inline.Module{
		compile(t, loop(), quick()...),
		compile(t, "isCompliant = 1\nisCompliant = 2"),
		compile(t, `isCompliant { x := numbers.range(1, 3000000); sum(x) > 0 }`, quick()...),
	}
	document := ast.MustParseTerm(`{"a": 1}`).Value
	var all sync.WaitGroup
	for range 20 {
		for _, module := range bad {
			all.Go(func() {
				if value, failure := module.Evaluate(t.Context(), document, at()); failure == nil {
					t.Errorf("got value %v of a bad module", value)
				}
			})
		}
		all.Go(func() {
			value, failure := good.Evaluate(t.Context(), document, at())
			if failure != nil || value.Compare(ast.Boolean(true)) != 0 {
				t.Errorf("got %v, %v, want true", value, failure)
			}
		})
	}
	all.Wait()
}

// TestManyAtOnce shares one module and one document between many.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	module := compile(t, `isCompliant[r] { x := input.list[_]; r := {"result": x > 3, "error": sprintf("%d: %s", [x, input.name])} }`,
		inline.WithTimeout(time.Minute))
	document := ast.MustParseTerm(`{"list": [1, 2, 3, 4, 5], "name": "n"}`).Value
	want, failure := module.Evaluate(t.Context(), document, at())
	if failure != nil {
		t.Fatal(*failure)
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				got, failure := module.Evaluate(t.Context(), document, at())
				if failure != nil || got.Compare(want) != 0 {
					t.Errorf("got %v, %v, want %v", got, failure, want)
				}
			}
		})
	}
	all.Wait()
}

// TestNothingStays: after timeouts nothing runs on.
func TestNothingStays(t *testing.T) {
	before := runtime.NumGoroutine()
	module := compile(t, loop(), quick()...)
	for range 30 {
		module.Evaluate(t.Context(), ast.NewObject(), at())
	}
	begun, tick := time.Now(), time.Tick(time.Millisecond)
	for runtime.NumGoroutine() > before {
		if time.Since(begun) > time.Minute {
			t.Fatalf("got %d goroutines, want %d", runtime.NumGoroutine(), before)
		}
		<-tick
	}
}

// documentOf is the document of a failure.
func documentOf(name string) ast.Value {
	if strings.Contains(name, "zeros") {
		return ast.MustParseTerm(`{"a": 1, "b": [1e10000, 3]}`).Value
	}
	return ast.MustParseTerm(`{"a": 1, "b": [2, 3]}`).Value
}

// num is a number as JSON gives it.
func num(digits string) json.Number { return json.Number(digits) }

// quick is a short time.
func quick() []inline.Option { return []inline.Option{inline.WithTimeout(20 * time.Millisecond)} }

// loop is a module that runs for hours in pure Rego.
func loop() string {
	return `xs = numbers.range(1, 3000)
isCompliant { a := xs[_]; b := xs[_]; c := xs[_]; a + b + c < 0 }`
}

func doubling(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "x%d := concat(\"\", [x%d, x%d]); ", i+1, i, i)
	}
	return out.String()
}

func nesting(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "x%d := [x%d, x%d]; ", i+1, i, i)
	}
	return out.String()
}

// rules is the same as rules, the last one first.
func rules(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "x%d = [x%d, x%d]\n", n-i, n-i-1, n-i-1)
	}
	return out.String() + "x0 = 1\n"
}

// TestCompileBesideEvaluation: OPA's parser shares the terms of operators between
// all modules. To move one module must not write to what another one reads.
func TestCompileBesideEvaluation(t *testing.T) {
	t.Parallel()
	source := "bad { input.b }\nisCompliant { x := input.a + 1; x == 2; not data.sigstore.bad }"
	module := compile(t, source, inline.WithTimeout(time.Minute))
	document := ast.MustParseTerm(`{"a": 1}`).Value
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				compile(t, source)
			}
		})
		all.Go(func() {
			for range 200 {
				if _, failure := module.Evaluate(t.Context(), document, at()); failure != nil {
					t.Error(*failure)
				}
			}
		})
	}
	all.Wait()
}

// TestLazyDocument: a document that is converted when it is looked at is the same
// document.
func TestLazyDocument(t *testing.T) {
	t.Parallel()
	document := ast.LazyObject(map[string]any{"a": map[string]any{"b": []any{"x", "y"}}})
	module := compile(t, `isCompliant { input.a.b[_] == "y" }`, inline.WithMaxInput(21), inline.WithTimeout(time.Minute))
	if value, failure := module.Evaluate(t.Context(), document, at()); failure != nil || value.Compare(ast.Boolean(true)) != 0 {
		t.Errorf("got %v, %v, want true", value, failure)
	}
	if _, failure := compile(t, `isCompliant { true }`, inline.WithMaxInput(20)).Evaluate(t.Context(), document, at()); failure == nil {
		t.Error("got a value for 21 bytes, want at most 20")
	}
}

// TestLateEvaluations: what is deaf to its deadline is not begun again and again.
func TestLateEvaluations(t *testing.T) {
	t.Parallel()
	// Two values that are equal, and larger than they look: one comparison.
	double := func(name string) string {
		var out strings.Builder
		fmt.Fprintf(&out, "%s0 := [input.a]\n", name)
		for i := range 27 {
			fmt.Fprintf(&out, "%[1]s%[2]d := array.concat([%[1]s%[3]d], [%[1]s%[3]d])\n", name, i+1, i)
		}
		return out.String()
	}
	module := compile(t, "isCompliant {\n"+double("x")+double("y")+"count(sort([x27, y27])) == 2\n}", quick()...)
	var last *apart.Failure
	const want = "evaluation did not begin: 4 of this policy still run past their time"
	for begun := time.Now(); last == nil || last.Message != want; { // the time may be over before one begins
		if _, last = module.Evaluate(t.Context(), documentOf(""), at()); time.Since(begun) > time.Minute {
			break
		}
	}
	if last == nil || last.Code != apart.Late || last.Message != want {
		t.Errorf("got %v, want timeout: %s", last, want)
	}
}
