package compile_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
)

// MATCH-1, MATCH-2: TestCompiledMatch asks the policy of match.txtar about resources: its entries
// are alternatives, and every part of an entry has to hold.
func TestCompiledMatch(t *testing.T) {
	t.Parallel()
	query, err := rego.New(rego.Compiler(newCompiler(t, policiesOf(t, "testdata/match.txtar"))),
		rego.Query("data.cip.match.matched"), rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type labels = map[string]any
	front := labels{"app": "web", "tier": "front", "team": "b"}
	for name, c := range map[string]struct {
		image, group, version, resource string
		labels                          labels
		want                            bool
	}{
		"a resource without selector":      {"a.example.com/x", "", "v1", "pods", nil, true},
		"an image of the second glob":      {"b.example.com/x", "", "v1", "pods", nil, true},
		"an image of no glob":              {"c.example.com/x", "", "v1", "pods", nil, false},
		"another version":                  {"a.example.com/x", "", "v2", "pods", nil, false},
		"another group":                    {"a.example.com/x", "core", "v1", "pods", nil, false},
		"labels that the selector selects": {"a.example.com/x", "apps", "v1", "deployments", front, true},
		"any version":                      {"a.example.com/x", "apps", "v1beta2", "deployments", front, true},
		"labels that it does not select":   {"a.example.com/x", "apps", "v1", "deployments", labels{"app": "web"}, false},
		"an entry without resource":        {"a.example.com/x", "batch", "v1", "jobs", front, false},
		"an entry without resource, empty": {"a.example.com/x", "batch", "v1", "", front, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := map[string]any{"image": c.image + digest, "resource": map[string]any{
				"group": c.group, "version": c.version, "resource": c.resource, "labels": c.labels,
			}}
			results, err := query.Eval(t.Context(), rego.EvalInput(input))
			if err != nil || len(results) != 1 {
				t.Fatalf("got %d results and error %v", len(results), err)
			}
			if got := results[0].Expressions[0].Value; got != c.want {
				t.Errorf("got %v, want %t", got, c.want)
			}
		})
	}
}
