package rego_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego"
)

// tally are answers that count the evaluations of policies in plain Rego.
type tally struct {
	rego.Answers
	judged *atomic.Int32
}

func (c tally) Metadata(
	inline func(context.Context, string, ast.Value) (ast.Value, string, string),
	policy func(context.Context, string, ast.Value) (ast.Value, string, string),
	reach func(context.Context, string) bool,
) map[string]any {
	if reach != nil {
		c.judged.Add(1)
	}
	return c.Answers.Metadata(inline, policy, reach)
}

// TestPolicyThatAsksNothingIsAskedOnce in a decision, whatever the number of its
// evaluations: while others wait for registries it would say the same again.
func TestPolicyThatAsksNothingIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	for _, tt := range []struct {
		name, text string
		want       int32
	}{
		{"asks nothing", innocent, 1},
		{"asks a registry", verifies, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{modules: map[string]string{"p.rego": tt.text}})
			var judged atomic.Int32
			source := r.source
			source.Open = func(about rego.Workload) rego.Answers { return tally{r.source.Open(about), &judged} }
			set, err := rego.Compile(t.Context(), source)
			if err != nil {
				t.Fatal(err)
			}
			var seen rego.Observation
			engine := rego.NewEngine(set, func(o rego.Observation) { seen = o })
			d, err := engine.Decide(t.Context(), pod(byDigest(t, w, "app")))
			if err != nil || !d.Allowed || len(d.Rego) != 1 {
				t.Fatalf("got %+v and %v, want an admission", d, err)
			}
			if got := judged.Load(); got != tt.want || seen.Evaluations != 2 {
				t.Errorf("got %d evaluations of the policy in %d of the decision, want %d in 2", got, seen.Evaluations, tt.want)
			}
		})
	}
}
