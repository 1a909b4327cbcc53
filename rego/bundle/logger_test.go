package bundle_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/plugins/discovery"

	"github.com/assay-dev/assay/rego/bundle"
)

// TestABundleThatFailsIsLoggedOnce, until the cause is another one or it works again: a source may be
// polled each second for days.
func TestABundleThatFailsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	good := map[string][]byte{
		"/main.tar.gz":  tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}),
		"/found.tar.gz": found(t, "1", `{}`),
	}
	for name, tt := range map[string]struct {
		config func(url string) string
		fetch  func(m *bundle.Manager) error
	}{
		"a bundle":             {func(url string) string { return manually(url, "main") }, func(m *bundle.Manager) error { return m.Trigger(t.Context()) }},
		"the discovery bundle": {func(url string) string { return discovering(url, onDemand) }, func(m *bundle.Manager) error { return discovery.Lookup(m.OPA()).Trigger(t.Context()) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := newService(t)
			m := open(t, tt.config(s.URL), &side{}, func(o *bundle.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			after := func(step, line string, want int) {
				t.Helper()
				for range 3 {
					_ = tt.fetch(m) // which fails, or does not
				}
				var got int
				for said := range strings.Lines(log.String()) {
					if strings.Contains(said, line) && !strings.Contains(said, "Bundle download failed") { // that is of whoever triggers
						got++
					}
				}
				if got != want {
					t.Errorf("%s: got %d lines with %q, want %d: %s", step, got, line, want, log.String())
				}
			}
			after("no file", "Not Found", 1)
			s.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			after("another cause", "Service Unavailable", 1)
			for path, body := range good {
				s.put(path, body)
			}
			s.answer(nil)
			after("a good one", "bundle works again", 1)
			s.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			after("the same cause as before", "Service Unavailable", 2)
		})
	}
}
