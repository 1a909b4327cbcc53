package builtins_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestStandaloneEvaluations runs in a process of its own: OPA's tables are the
// process's, and all other tests are of evaluations that have no facts at hand.
func TestStandaloneEvaluations(t *testing.T) {
	t.Parallel()
	if os.Getenv("ASSAY_TEST_STANDALONE") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStandaloneEvaluations$")
		cmd.Env = append(os.Environ(), "ASSAY_TEST_STANDALONE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	w := openWorld(t)
	facts := factsOf(t, w)
	asked := 0
	builtins.RegisterStandalone(func(ctx context.Context) map[string]any {
		if asked++; ctx == nil {
			return nil
		}
		s := facts.Open(oci.Credentials{}, tenant.Workload{})
		s.Block()
		return s.Metadata(nil, nil, nil)
	})
	expression := w.Expand(`cosign.verify("${app@}", ` + authority + `).ok`)
	if got := evaluateOnce(t, nil, expression); got != true || asked != 1 {
		t.Errorf("got %v and asked %d times, want true at once", got, asked)
	}
	if got := evaluateOnce(t, nil, w.Expand(`oci.resolve("${bare}").digest`)); got != w.Expand("${digest:bare}") {
		t.Errorf("got %v, want the digest", got)
	}
	// One of the engine has its session, and no other.
	asked = 0
	if got := evaluateOnce(t, facts.Open(oci.Credentials{}, tenant.Workload{}), w.Expand(`oci.resolve("${by-key}")`)); got != nil || asked != 0 {
		t.Errorf("with a session: got %v and asked %d times, want undefined, as it is asked later", got, asked)
	}
}
