package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-dev/assay/server/admission"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// wantLine looks for one line of a page.
func wantLine(t *testing.T, page, line string) {
	t.Helper()
	if !strings.Contains("\n"+page, "\n"+line+"\n") {
		t.Errorf("got no line %q in:\n%s", line, page)
	}
}

// page asks the handler itself for a page.
func page(s *Server, path string) (int, string) {
	recorder := httptest.NewRecorder()
	s.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	bad := errors.New("pods.yaml: got no images")
	for name, test := range map[string]struct {
		checks []Check
		path   string
		status int
		want   string
	}{
		"all is well": {[]Check{{Name: "policies", Err: nil}}, "/readyz", 200, "ready\n"},
		"all is well, at length": {
			[]Check{{Name: "policies", Err: nil}, {Name: "trust", Err: nil}}, "/readyz?verbose", 200,
			"[+] serving: ok\n[+] timeout: ok\n[+] policies: ok\n[+] trust: ok\nready\n"},
		"all is well, with a note": {
			[]Check{{Name: "policies", Note: "the last change was refused"}}, "/readyz?verbose", 200,
			"[+] serving: ok\n[+] timeout: ok\n[+] policies: ok, but the last change was refused\nready\n"},
		"one check fails": {
			[]Check{{Name: "trust", Err: nil}, {Name: "policies", Err: bad}}, "/readyz", 503, "[-] policies\nnot ready\n"},
		"one check fails, with its cause": {
			[]Check{{Name: "policies", Err: bad}, {Name: "trust", Err: nil}}, "/readyz?verbose=1", 503,
			"[+] serving: ok\n[+] timeout: ok\n[-] policies: pods.yaml: got no images\n[+] trust: ok\nnot ready\n"},
		"causes of several lines": {
			[]Check{{Name: "bundles", Err: errors.New("bundle main: 2 errors occurred:\n  a.rego:1: x\n\n  b.rego:2: y\r\n")}, {Name: "policies", Note: "one\ntwo"}}, "/readyz?verbose", 503,
			"[+] serving: ok\n[+] timeout: ok\n[-] bundles: bundle main: 2 errors occurred: a.rego:1: x; b.rego:2: y\n[+] policies: ok, but one; two\nnot ready\n"},
		"a cause that speaks to a terminal, or looks like a check": {
			[]Check{{Name: "bundles", Err: errors.New("got \x1b[31m\u202e\x00\xff,\n[+] bundles: ok\u2028日本\tx")}}, "/readyz?verbose", 503,
			"[+] serving: ok\n[+] timeout: ok\n[-] bundles: got \\x1b[31m\\u202e\\x00\uFFFD,; [+] bundles: ok\\u2028日本\\tx\nnot ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := plainConfig()
			config.Ready = func() []Check { return test.checks }
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			if status, got := page(s, test.path); status != test.status || got != test.want {
				t.Errorf("got %d %q, want %d %q", status, got, test.status, test.want)
			}
			if status, _ := page(s, "/healthz"); status != 200 {
				t.Errorf("health: got %d, want 200 whatever the readiness", status)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Metrics = NewMetrics("v1.2.3")
	answers := []struct {
		decision Decision
		err      error
	}{
		{decision: Decision{Verdict: admission.Verdict{Allowed: true}}},
		{},
		{err: errors.New("x")},
	}
	asked := 0
	config.Validate = DeciderFunc(func(context.Context, []byte) (Decision, error) {
		asked++
		return answers[asked-1].decision, answers[asked-1].err
	})
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for range answers {
		handle(s, "/validate", podReview)
	}
	handle(s, "/mutate", "{")
	metrics := s.Metrics()
	metrics.PolicyReloaded(nil)
	metrics.PolicyReloaded(errors.New("x"))
	metrics.PolicyReloaded(errors.New("x"))
	metrics.SetPolicies(7, true)
	metrics.WatchCUE(func() int64 { return 3 })
	metrics.Registerer().MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "assay_of_another_room"}))

	status, text := page(s, "/metrics")
	if status != 200 {
		t.Fatalf("got %d, want 200", status)
	}
	for _, line := range []string{
		`assay_admission_requests_total{path="validate",result="allowed"} 1`,
		`assay_admission_requests_total{path="validate",result="denied"} 1`,
		`assay_admission_requests_total{path="validate",result="error"} 1`,
		`assay_admission_requests_total{path="validate",result="overloaded"} 0`,
		`assay_admission_requests_total{path="mutate",result="bad_request"} 1`,
		`assay_admission_duration_seconds_count{path="validate"} 3`,
		`assay_in_flight 0`,
		`assay_policy_reload_total{result="success"} 1`,
		`assay_policy_reload_total{result="failure"} 2`,
		`assay_policy_current 1`,
		`assay_policies 7`,
		`assay_cue_abandoned 3`,
		`assay_of_another_room 0`,
	} {
		wantLine(t, text, line)
	}
	if !strings.Contains(text, `version="v1.2.3"`) {
		t.Error("got no build info with the version")
	}
	metrics.SetPolicies(7, false)
	_, text = page(s, "/metrics")
	wantLine(t, text, "assay_policy_current 0")
}

func TestMetricsNameNoImagesAndNoNamespaces(t *testing.T) {
	t.Parallel()
	s, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	handle(s, "/validate", podReview)
	if _, text := page(s, "/metrics"); strings.Contains(text, "ghcr.io") || strings.Contains(text, "shop") {
		t.Error("got metrics with what a caller chose")
	}
}
