package cue_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/cue"
)

// FuzzValidate: every policy and document has an answer in time, one of the codes,
// and the same one always. Policies that make much of memory are not looked for.
func FuzzValidate(f *testing.F) {
	for _, policy := range []string{
		``, `a: int`, `a: >1 & <3`, "import \"list\"\na: list.MinItems(1)", `[string]: a: "x" | *"y"`, `close({a: 1})`, `#A: {a: 1}` + "\n#A",
		`a: [...{name: name, if name == "x" {err: "y"}}]`, "package p\na: \"\\(b)\"\nb: string", `a: _|_`, `a: {b: a}`, `a!: string`, "@extern(embed)\npackage p",
		`let x = 1` + "\na: x", `a: =~"^x"`, `a: 'x'`, `a: 1_000K`, `for k, v in {a: 1} {"\(k)": v}`, "import \"tool/exec\"\na: exec.Run", `a: {`,
	} {
		for _, document := range []string{`{}`, `{"a": 2}`, `{"a": [{"name": "x"}], "b": null}`, `{"a": "\ud800"}`, `[1e3, -0.0, 1E400]`, `{"a": 1, "a": 2}`, `null`, `{`} {
			f.Add(policy, []byte(document), false)
			f.Add(policy, []byte(document), true)
		}
	}
	f.Fuzz(func(t *testing.T, policy string, document []byte, concrete bool) {
		// Short, so that what is found is not that products take long.
		if len(policy) > 200 || len(document) > 200 {
			return
		}
		e, err := cue.New(cue.Options{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		got := e.Validate(t.Context(), policy, document, concrete)
		if got == nil {
			if !json.Valid(document) {
				t.Errorf("%q: got no refusal, want one of what is no JSON", document)
			}
			return
		}
		switch got.Code {
		case cue.NotCompliant, cue.Malformed, cue.TooLarge, cue.Timeout:
		default:
			t.Errorf("got code %q", got.Code)
		}
		if again := evaluator(t, cue.Options{}).Validate(t.Context(), policy, document, concrete); got.Code != cue.Timeout && (again == nil || *again != *got) {
			t.Errorf("got %v and %v, want one verdict", got, again)
		}
	})
}
