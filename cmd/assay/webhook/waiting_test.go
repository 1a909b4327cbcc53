package webhook

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
)

// stalled is a root that does not answer before it is let.
type stalled struct{ asked, let chan struct{} }

func (s *stalled) Serving() (*trust.Root, string) {
	s.asked <- struct{}{}
	<-s.let
	return nil, "it stalled"
}

func (s *stalled) Refresh(context.Context) error { return nil }

// soon does what must not wait, and ends the test where it does.
func soon(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s: got none for a minute, want it not to wait", what)
	}
}

// TestAProbeThatWaitsHoldsNobodyElse: the API server asks both, and a review has seconds.
func TestAProbeThatWaitsHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	r, write := started(t)
	root := &stalled{make(chan struct{}), make(chan struct{})}
	r.wiring.Root, r.cluster = root, &cluster{watcher: watch.New(&kube.Client{}, slog.New(slog.DiscardHandler))}
	probe := make(chan struct{})
	go func() { defer close(probe); r.checks() }()
	<-root.asked
	soon(t, "a review", func() {
		decided, err := r.gated(r.engine.Decide, false)(t.Context(), []byte("{}"))
		if err != nil || !strings.Contains(strings.Join(decided.Reasons, ""), "not loaded yet") {
			t.Errorf("got %+v, %v, want a denial", decided, err)
		}
	})
	write(denying("b.io/**", ""))
	before := r.engine.Set()
	soon(t, "a load", func() { r.load(t.Context(), r.wiring.Read) })
	if r.engine.Set() == before {
		t.Error("got the policies from before, want others")
	}
	close(root.let)
	<-probe
}
