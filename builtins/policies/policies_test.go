package policies_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/policies"
)

func TestMain(m *testing.M) {
	for _, b := range policies.Builtins() {
		ast.RegisterBuiltin(b.Declaration())
		topdown.RegisterBuiltinFunc(b.Name, b.Function())
	}
	os.Exit(m.Run())
}

// late is a decision that has no time left for policies.
type late struct{ evaluator *cue.Evaluator }

func (late) Judge(_ context.Context, policy string, _ func(context.Context) *declare.Problem) *declare.Problem {
	return declare.Refuse(declare.Timeout, policy+" took too long")
}

func (l late) CUE() *cue.Evaluator { return l.evaluator }

func complies(context.Context, string, ast.Value) (value ast.Value, code, message string) {
	return ast.Boolean(true), "", ""
}

// TestWithoutPoliciesNothingIsOK: who has no policies, or no time for them, has an answer that is not ok.
func TestWithoutPoliciesNothingIsOK(t *testing.T) {
	t.Parallel()
	evaluator, err := cue.New(cue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	none, over := map[string]any{}, map[string]any{policies.JudgeKey: late{evaluator}}
	judged := map[string]any{policies.JudgeKey: late{evaluator}}
	policies.Metadata(over, complies, complies)
	policies.Metadata(judged, nil, nil)
	for _, tt := range []struct {
		name, call string
		metadata   map[string]any
		want       string
	}{
		{"no decision", `sigstore.is_compliant("m", {})`, none, "unsupported: sigstore.is_compliant needs the engine: there are no modules in this evaluation"},
		{"no decision", `assay.policy("p", {})`, none, "unsupported: assay.policy needs the engine: there are no policies in this evaluation"},
		{"no policies", `sigstore.is_compliant("m", {})`, judged, "unsupported: sigstore.is_compliant needs the engine: there are no modules in this evaluation"},
		{"no policies", `assay.policy("p", {})`, judged, "unsupported: assay.policy needs the engine: there are no policies in this evaluation"},
		{"no time", `sigstore.is_compliant("m", {})`, over, "timeout: rego m took too long"},
		{"no time", `assay.policy("p", {})`, over, "timeout: policy p took too long"},
		{"no time", `cue.validate("a: 1", {"a": 1})`, over, "timeout: cue a: 1 took too long"},
		{"no time", `cue.validate_concrete("a: 1", {"a": 1})`, over, "timeout: cue a: 1 took too long"},
		{"CUE needs no decision", `cue.validate("a: 1", {"a": 2})`, none,
			"not_compliant: failed to evaluate the policy with error: a: conflicting values 2 and 1"},
	} {
		t.Run(tt.name+", "+tt.call, func(t *testing.T) {
			t.Parallel()
			query, err := rego.New(rego.Query("x = " + tt.call)).PrepareForEval(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			results, err := query.Eval(t.Context(), rego.EvalRequestMetadata(tt.metadata))
			if err != nil || len(results) != 1 {
				t.Fatalf("got %d results and %v, want an answer", len(results), err)
			}
			answer, _ := results[0].Bindings["x"].(map[string]any)
			problem, _ := answer["error"].(map[string]any)
			if diff := cmp.Diff(tt.want, fmt.Sprintf("%v: %v", problem["code"], problem["message"])); diff != "" || answer["ok"] != false {
				t.Errorf("got ok %v, want false; cause (-want +got):\n%s", answer["ok"], diff)
			}
		})
	}
}
