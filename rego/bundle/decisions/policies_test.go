package decisions_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// TestMaskingAndDropping has policies in Rego, in a package of their own, decide what is
// logged.
func TestMaskingAndDropping(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	app, bare := e.decide(t, "app"), e.decide(t, "bare")
	for _, tt := range []struct {
		name, policy   string
		logged         int
		result         outcome.Result // of what is not
		erased, masked []string
	}{
		{"no policy", "", 2, "", nil, nil},
		{
			"a mask", `mask contains "/input/request/namespace"
mask contains "/nd_builtin_cache"
mask contains {"op": "upsert", "path": "/result/images/0/image", "value": "somewhere"}`, 2, "",
			[]string{"/input/request/namespace", "/nd_builtin_cache"}, []string{"/result/images/0/image"},
		},
		{"what was allowed is left out", `drop if input.result.allowed`, 1, outcome.LeftOut, nil, nil},
		{"by what assay says of it", `drop if input.custom.call == "validate"`, 0, outcome.LeftOut, nil, nil},
		{"a mask that has no answer", `mask := 1 if input.path
mask := 2 if input.path`, 0, outcome.Masking, nil, nil},
		{"a drop that has no answer", `drop := true if input.path
drop := false if input.path`, 0, outcome.Masking, nil, nil},
		{"a mask that never ends", `mask contains x if {
	some i in numbers.range(1, 10000)
	some j in numbers.range(1, 10000)
	i + j == -1
	x := "/input"
}`, 0, outcome.Masking, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := collect(t)
			s := setup{options: decisions.Options{Drain: time.Minute}, config: c.config("  mask_decision: /logging/mask\n  drop_decision: /logging/drop\n")}
			if tt.policy != "" {
				s.policy = "package logging\nimport rego.v1\n" + tt.policy
			}
			m := log(t, s, app, bare)
			if got := []int{len(c.entries), m.counts.get(outcome.Delivered), m.counts.get(tt.result)}; !cmp.Equal(got, []int{tt.logged, tt.logged, 2 - tt.logged}) {
				t.Fatalf("got %d entries and %v, want %d logged and the others %s", len(c.entries), m.counts.of, tt.logged, tt.result)
			}
			for _, event := range events(t, c.entries) {
				if !cmp.Equal(event.Erased, tt.erased) || !cmp.Equal(event.Masked, tt.masked) {
					t.Errorf("got erased %q and masked %q, want %q and %q", event.Erased, event.Masked, tt.erased, tt.masked)
				}
				if tt.masked != nil && (event.NDBuiltinCache != nil || !bytes.Contains(mustJSON(t, event.Result), []byte(`"image":"somewhere"`))) {
					t.Errorf("got %s, want it masked", mustJSON(t, event))
				}
			}
		})
	}
}

// TestLargeEntriesAreOPAsToDrop has a service that takes less than an entry has, and one
// that takes it without evidence.
func TestLargeEntriesAreOPAsToDrop(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	c := collect(t)
	config := strings.Replace(c.config(""), "1048576", "200", 1)
	m := log(t, setup{config: config}, made)
	if got := m.loss("decision_logs_encoding_failure"); got != 1 || len(c.entries) > 0 {
		t.Errorf("got %d and %d entries, want one that is lost, and counted", got, len(c.entries))
	}
}

// TestUploadIsTriedAgain has a service that answers 500 at first.
func TestUploadIsTriedAgain(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	c := collect(t)
	c.answer = func(n int) int {
		if n == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	m := log(t, setup{config: c.config("")}, made, made)
	if got := m.loss("decision_logs_chunks_upload_failed"); got != 1 || len(c.entries) != 2 {
		t.Errorf("got %d failed and %d entries, want one failed and both entries", got, len(c.entries))
	}
}
