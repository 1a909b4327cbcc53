package inline_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/inline"
)

// TestMemory: what would make gigabytes of little ends before it does. Each would be
// over before the deadline, or take the process with it.
func TestMemory(t *testing.T) {
	t.Parallel()
	chain := func(n int, call string) string {
		var out strings.Builder
		for i := range n {
			fmt.Fprintf(&out, "x%d := %s\n", i+1, strings.ReplaceAll(call, "X", fmt.Sprint("x", i)))
		}
		return out.String()
	}
	many := strings.Repeat("x1, ", 1000)
	for name, body := range map[string]string{
		"a text that doubles":            `x0 := "aaaaaaaa"; ` + chain(40, `concat("", [X, X])`),
		"a text a thousand times":        `x0 := sprintf("%999999d", [1]); x1 := concat("", [x0, x0]); x2 := concat("", [` + many + `x1])`,
		"a wide format":                  `x := sprintf("` + strings.Repeat("%999999d", 1000) + `", [` + strings.Repeat("1, ", 999) + `1])`,
		"a width that is an operand":     `x := sprintf("` + strings.Repeat("%*d", 500) + `", [` + strings.Repeat("999999, 1, ", 499) + `999999, 1])`,
		"one operand many times":         `x0 := sprintf("%999999d", [1]); x := sprintf("` + strings.Repeat("%[1]s", 1000) + `", [x0])`,
		"a letter for a text":            `x0 := sprintf("%999999d", [1]); x := replace(x0, " ", x0)`,
		"letters for texts":              `x0 := sprintf("%999999d", [1]); x := strings.replace_n({" ": x0}, x0)`,
		"matches for texts":              `x0 := sprintf("%999999d", [1]); x := regex.replace(x0, " ", x0)`,
		"a list that doubles":            `x0 := [1, 2]; ` + chain(40, `array.concat(X, X)`),
		"a list that doubles as text":    `x0 := [input]; ` + chain(22, `array.concat(X, X)`) + `x := json.marshal(x22)`,
		"a text that is encoded":         `x0 := "aaaaaaaa"; ` + chain(60, `hex.encode(X)`),
		"a text that is quoted":          `x0 := "****"; ` + chain(60, `glob.quote_meta(X)`),
		"a text that is JSON of JSON":    `x0 := "\"\"\""; ` + chain(60, `json.marshal(X)`),
		"lines with a prefix":            `x0 := sprintf("%999999d", [1]); x := json.marshal_with_options(numbers.range(1, 9999), {"prefix": x0, "pretty": true})`,
		"lines with an indent":           `x0 := sprintf("%999999d", [1]); x := json.marshal_with_options(numbers.range(1, 9999), {"indent": x0, "pretty": true})`,
		"numbers":                        `x := numbers.range(1, 1000000000)`,
		"numbers in steps":               `x := numbers.range_step(1000000000, 1, 2)`,
		"addresses":                      `x := net.cidr_expand("0.0.0.0/0")`,
		"letters":                        `x0 := sprintf("%999999d", [1]); x1 := concat("", [x0, x0, x0]); x := split(x1, "")`,
		"texts that are kept":            `x0 := sprintf("%999999d", [1]); x := [y | n := numbers.range(1, 1000)[_]; y := concat(sprintf("%d", [n]), [x0, x0])]`,
		"behind a not":                   `not x`,
		"under a with":                   `x0 := "a"; x := numbers.range(1, 1000000000) with input as 1`,
		"under a function in its place":  `x0 := ["a"]; x := concat("", x0) with concat as f`,
		"in the head of a comprehension": `x := [numbers.range(1, 1000000000) | true]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := "f(_, _) = numbers.range(1, 1000000000)\nx { numbers.range(1, 1000000000) }\nisCompliant { " + body + "\ntrue }"
			module := compile(t, source, inline.WithTimeout(time.Minute))
			start := time.Now()
			value, failure := module.Evaluate(t.Context(), documentOf(name), at())
			if failure == nil || failure.Code != apart.TooLarge || !strings.Contains(failure.Message, "128 MiB") {
				t.Errorf("got %v and %v after %s, want too_large", value, failure, time.Since(start))
			}
		})
	}
}

// TestMemoryIsEnough for what policies do, and functions may still stand in the place
// of builtins.
func TestMemoryIsEnough(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a large document written anew": `count(json.marshal(input)) > 0; count(json.marshal_with_options(input, {"pretty": true})) > 0`,
		"a message for each of many":    `count([m | n := numbers.range(1, 20000)[_]; m := sprintf("%s: package %d of %d has a vulnerability", ["x", n, 7])]) == 20000`,
		"a function in its place":       `concat("", ["a"]) == "7" with concat as f`,
		"a value in its place":          `sprintf("%d", [1]) == "x" with sprintf as "x"`,
		"names of its own":              `bounded := 1; bounded == 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module := compile(t, "f(_, _) = \"7\"\nisCompliant { "+body+" }", inline.WithTimeout(time.Minute))
			value, failure := module.Evaluate(t.Context(), documentOf(name), at())
			if failure != nil || value == nil || value.Compare(ast.Boolean(true)) != 0 {
				t.Errorf("got %v and %v, want true", value, failure)
			}
		})
	}
	_, err := inline.Compile(t.Context(), []string{"cip", "p"}, "package sigstore\nisCompliant { upper(\"a\") with upper as lower }")
	if want := "got lower in the place of upper, want a function of the module"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
