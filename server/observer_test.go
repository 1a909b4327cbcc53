package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// noted is an observer that gives one account, and notes what it was told.
type noted struct {
	account Account
	asked   []Asked
	results []string
}

type notedKey struct{}

// Deciding implements [Observer].
func (n *noted) Deciding(ctx context.Context, asked Asked) (context.Context, func(string) Account) {
	n.asked = append(n.asked, asked)
	return context.WithValue(ctx, notedKey{}, n), func(result string) Account {
		n.results = append(n.results, result)
		return n.account
	}
}

const aTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// TestAnObserverIsToldOfEachDecision, also of one that there is none of, and its account is
// in the log line and in the metrics.
func TestAnObserverIsToldOfEachDecision(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	var log *journal
	config.Logger, log = newJournal(t)
	seen := &noted{account: Account{
		Trace: aTrace, Set: "abc", Evaluations: 2, Codes: []string{"timeout"}, Failed: []string{"p"},
		Stages: []Spent{{"evaluate", time.Millisecond}, {"registry", time.Second}},
	}}
	config.Observer = seen
	config.Validate = DeciderFunc(func(ctx context.Context, _ []byte) (Decision, error) {
		if ctx.Value(notedKey{}) != seen {
			t.Error("got another context than the observer's")
		}
		return Decision{}, errors.New("x")
	})
	config.Mutate = DeciderFunc(func(context.Context, []byte) (Decision, error) { panic("y") })
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	handle(s, "/validate", podReview)
	got := log.wait(t, "decided")
	for key, want := range map[string]any{
		"trace": aTrace, "set": "abc", "evaluations": 2.0, "codes": []any{"timeout"}, "failed": []any{"p"},
		"stages": map[string]any{"evaluate": 1e6, "registry": 1e9},
	} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	handle(s, "/mutate", podReview)
	handle(s, "/validate", "{")
	if diff := cmp.Diff([]string{"error", "error"}, seen.results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Asked{{Webhook: "validate"}, {Webhook: "mutate"}}, seen.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestExemplarsAreInOpenMetrics only: the text format has no room for them.
func TestExemplarsAreInOpenMetrics(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Observer = &noted{account: Account{Trace: aTrace}}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	handle(s, "/validate", podReview)
	for accept, want := range map[string]bool{"": false, "application/openmetrics-text; version=1.0.0": true} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept", accept)
		recorder := httptest.NewRecorder()
		s.routes().ServeHTTP(recorder, request)
		text, err := io.ReadAll(recorder.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), aTrace); got != want {
			t.Errorf("Accept %q: got an exemplar: %t, want %t", accept, got, want)
		}
	}
}

// TestTraceparentIsTakenOnce: two of them are none.
func TestTraceparentIsTakenOnce(t *testing.T) {
	t.Parallel()
	s, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	w := &webhook{server: s, name: "validate"}
	for want, headers := range map[string][]string{"": {"a", "b"}, "a": {"a"}} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", nil)
		request.Header["Traceparent"] = headers
		if got := w.askedBy(request); got.Traceparent != want || got.Vouched {
			t.Errorf("%q: got %+v, want %q, and nobody vouched for", headers, got, want)
		}
	}
	w.server.config.TLS.ClientCAFile = "ca.pem"
	if got := w.askedBy(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", nil)); !got.Vouched {
		t.Error("got nobody vouched for, want who showed a certificate")
	}
}

// TestNamesOfMetrics follow Prometheus' rules.
func TestNamesOfMetrics(t *testing.T) {
	t.Parallel()
	gatherer, ok := NewMetrics("v").Registerer().(prometheus.Gatherer)
	if !ok {
		t.Fatal("got a registerer that does not gather")
	}
	problems, err := testutil.GatherAndLint(gatherer)
	if diff := cmp.Diff([]promlint.Problem(nil), problems); diff != "" || err != nil {
		t.Errorf("got %v and (-want +got):\n%s", err, diff)
	}
}
