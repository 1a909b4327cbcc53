package decisions_test

import (
	"bytes"
	"log/slog"
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
		{"no policy", "", 0, outcome.Masking, nil, nil},
		{"a drop alone", `drop := false
masks contains "/input"`, 0, outcome.Masking, nil, nil},
		{"a mask of another package", "package masking\nmask contains \"/input\"", 0, outcome.Masking, nil, nil},
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
				s.policy = "package logging\nimport rego.v1\n" + defined(tt.policy)
			}
			if strings.HasPrefix(tt.policy, "package") {
				s.policy = tt.policy
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

// defined is a policy with the rules that it lacks, one of which it has.
func defined(policy string) string {
	switch {
	case strings.Contains(policy, "masks contains"):
		return policy
	case !strings.Contains(policy, "mask"):
		return policy + "\nmask contains \"/nowhere\" if false"
	case !strings.Contains(policy, "drop"):
		return policy + "\ndrop if false"
	}
	return policy
}

// TestMasksThatNothingDefines has each of the two named where nothing is: a misspelling, or a
// revision of a bundle without them.
func TestMasksThatNothingDefines(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	for _, tt := range []struct {
		name, config, policy string
		result               outcome.Result
		want                 string // in the log
	}{
		{"none is configured", "", "", outcome.Delivered, ""},
		{"none is configured, and OPA's own has a mask", "", "package system.log\nmask contains \"/input\" if true", outcome.Delivered, ""},
		{
			"a mask", "  mask_decision: /loging/mask\n", "package logging\nmask contains \"/input\"", outcome.Masking,
			"decision_logs.mask_decision: got /loging/mask, which nothing defines, want a rule of a bundle",
		},
		{
			"a drop", "  drop_decision: /logging/dorp\n", "package logging\ndrop if false", outcome.Masking,
			"decision_logs.drop_decision: got /logging/dorp, which nothing defines, want a rule of a bundle",
		},
		{"a mask without a slash", "  mask_decision: logging/mask\n", "package logging\nmask contains \"/input\"", outcome.Delivered, ""},
		{"a set that is empty", "  mask_decision: /logging/mask\n", "package logging\nmask contains \"/input\" if false", outcome.Delivered, ""},
		{"one of the mask that is written out as OPA has it", "  mask_decision: /system/log/mask\n", "", outcome.Masking, "got /system/log/mask"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text bytes.Buffer
			c := collect(t)
			m := log(t, setup{config: c.config(tt.config), policy: tt.policy, options: decisions.Options{Log: slog.New(slog.NewTextHandler(&text, nil))}}, made)
			delivered := len(c.entries)
			if want := map[outcome.Result]int{tt.result: 1}; !cmp.Equal(want, m.counts.of) || (delivered == 1) != (tt.result == outcome.Delivered) {
				t.Errorf("got %d entries and %v, want %v", delivered, m.counts.of, want)
			}
			if !strings.Contains(text.String(), tt.want) {
				t.Errorf("got %s, want %s in it", &text, tt.want)
			}
		})
	}
}

// TestMaskThatIsData is a document of a bundle, as OPA takes one.
func TestMaskThatIsData(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "app")
	c := collect(t)
	m := log(t, setup{config: c.config("  mask_decision: /logging/mask\n"), data: map[string]any{"logging": map[string]any{"mask": []any{"/input"}}}}, made)
	if len(c.entries) != 1 || m.counts.get(outcome.Delivered) != 1 {
		t.Fatalf("got %d entries and %v, want one", len(c.entries), m.counts.of)
	}
	if event := events(t, c.entries)[0]; event.Input != nil {
		t.Errorf("got input %v, want it masked", *event.Input)
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
