package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// TestRegoOfBundlesReachesNobody: OPA evaluates what masks and drops decision logs by itself, over
// whole reviews. It holds for every module, also one that no policy imports.
func TestRegoOfBundlesReachesNobody(t *testing.T) {
	t.Parallel()
	const (
		mask   = "decision_logs: {console: true, mask_decision: /logging/mask}\n"
		drop   = "decision_logs: {console: true, drop_decision: /logging/drop}\n"
		policy = "policies/x"
		alone  = "logging"
	)
	allowed := func(flags *wiring.Flags, _ *bundled.Flags) {
		allow(t, flags, "--allow-builtin", "http.send", "--allow-net", "policies.example")
	}
	for name, tt := range map[string]struct {
		config  string
		flags   func(*wiring.Flags, *bundled.Flags)
		root    string
		refused bool
	}{
		"what masks decision logs":                     {mask, nil, alone, true},
		"what drops them":                              {drop, nil, alone, true},
		"what masks them, where policies may":          {mask, allowed, alone, true},
		"a policy, where OPA evaluates and it may":     {drop, allowed, policy, true},
		"a module that nobody asks yet":                {"", nil, alone, true},
		"a policy, where it may and OPA asks it never": {"decision_logs: {console: true}\n", allowed, policy, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			t.Cleanup(other.Close)
			files := newBucket(t, map[string][]byte{"main": failing(t, "1", "p", "a.io/**", "")})
			f := withBundles(t, manual(t, files.URL, "main")+tt.config, tt.flags)
			f.fetch()
			files.put("main", bundleOf(t, fmt.Sprintf(`{"revision": "2", "roots": [%q]}`, tt.root), map[string]string{
				tt.root + ".rego": fmt.Sprintf("package %s\n\nmask contains \"/input/request/object\" if http.send({\"url\": %q, \"method\": \"get\"}).status_code == 200\n\ndrop if mask\n\ndeny contains \"no\" if mask\n",
					strings.ReplaceAll(tt.root, "/", "."), other.URL),
			}))
			if err := f.trigger(); (err != nil) != tt.refused || tt.refused && !strings.Contains(err.Error(), "http.send") {
				t.Errorf("got %v, want a refusal of http.send: %t", err, tt.refused)
			}
			_ = f.says("a.io/x" + digest)
			if got := asked.Load(); got != 0 {
				t.Errorf("got %d requests of the Rego of a bundle, want none", got)
			}
		})
	}
}

// allow turns on what is off in Rego.
func allow(t *testing.T, flags *wiring.Flags, args ...string) {
	t.Helper()
	cmd := &cobra.Command{}
	flags.Rego = wiring.Defaults().Rego
	flags.Rego.Add(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Error(err)
	}
}
