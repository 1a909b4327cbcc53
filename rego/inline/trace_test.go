package inline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
)

func TestTraceNamesTheLinesOfTheSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source, document string
		want                   []string
	}{
		{
			"the expression that was not true",
			"# a comment\npackage sigstore\n\n\nisCompliant {\n  input.a == 1\n\n  input.b == 2   # why not\n}\n",
			`{"a": 1, "b": 3}`,
			[]string{"isCompliant:8: not true: input.b == 2"},
		},
		{
			"every rule of the name, though an index would skip them",
			"package sigstore\ndefault isCompliant = false\nisCompliant { input.a == 1 }\nisCompliant { input.a == 2 }\n",
			`{"a": 3}`,
			[]string{"isCompliant:3: not true: input.a == 1", "isCompliant:4: not true: input.a == 2"},
		},
		{
			"the rules that it rests on",
			"package sigstore\nisCompliant { built }\nbuilt {\n  input.a == 1\n}\nother { input.a == 9 }\n",
			`{"a": 3}`,
			[]string{"isCompliant:2: not true: built", "built:4: not true: input.a == 1"},
		},
		{
			"a set that answers",
			"package sigstore\n\nisCompliant[answer] {\n  answer := {\"result\": false, \"error\": \"no\"}\n}\n",
			`{}`,
			[]string{"isCompliant:3: answered"},
		},
		{
			"v1",
			"package sigstore\n\nimport rego.v1\n\nisCompliant if {\n  some x in input.list\n  x > 3\n}\n",
			`{"list": [1, 2]}`,
			[]string{"isCompliant:7: not true: x > 3"},
		},
		{
			"an expression of several lines",
			"package sigstore\nisCompliant {\n  count([x |\n    x := input.a[_]\n  ]) > 1\n}\n",
			`{"a": []}`,
			[]string{"isCompliant:3: not true: count([x | …"},
		},
		{"no rule at all", "package sigstore\nother { true }\n", `{}`, nil},
	} {
		m, err := Compile(t.Context(), []string{"cip", "p", "spec", "policy"}, tt.source)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := m.Trace(t.Context(), ast.MustParseTerm(tt.document).Value, time.Unix(0, 0))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestTraceOfARunawayTellsNothing, and returns.
func TestTraceOfARunawayTellsNothing(t *testing.T) {
	t.Parallel()
	m, err := Compile(t.Context(), []string{"cip", "p", "spec", "policy"},
		"package sigstore\nisCompliant { x := numbers.range(1, 3000)[_]; y := numbers.range(1, 3000)[_]; x + y == 0 }\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Trace(t.Context(), ast.NewObject(), time.Unix(0, 0)); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}
