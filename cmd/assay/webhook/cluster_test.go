package webhook

import (
	"context"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
)

// TestNothingIsAdmittedBeforeThePoliciesAreLoaded: a policy that is not there yet cannot
// be satisfied.
func TestNothingIsAdmittedBeforeThePoliciesAreLoaded(t *testing.T) {
	t.Parallel()
	r := &reloader{cluster: &cluster{}}
	asked := 0
	decide := r.gated(func(context.Context, []byte) (rego.Decision, error) {
		asked++
		return rego.Decision{Allowed: true}, nil
	})
	decision, err := decide(t.Context(), []byte("{}"))
	if err != nil || decision.Allowed || asked != 0 || !strings.Contains(strings.Join(decision.Reasons, ""), "not loaded yet") {
		t.Errorf("before: got %+v, %v and %d questions, want it denied, with the cause", decision, err, asked)
	}
	r.loaded = true
	if decision, err = decide(t.Context(), []byte("{}")); err != nil || !decision.Allowed || asked != 1 {
		t.Errorf("after: got %+v, %v, want what the engine says", decision, err)
	}
}
