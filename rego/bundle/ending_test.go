package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/bundle"
)

// minute is longer than anything of a test takes, on whatever machine.
func minute(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("got no end of %s", what)
	}
}

// preparing is a manager of one bundle, whose activation prepare is asked about.
func preparing(t *testing.T, prepare func(context.Context) error, log *slog.Logger, stops time.Duration) (m *bundle.Manager, end func() <-chan struct{}) {
	t.Helper()
	s := newService(t)
	s.put("/main.tar.gz", tarball(t, "1", []string{"a"}, map[string]string{"a/data.json": "1"}))
	m, err := bundle.Open(bundle.Options{
		Config: fmt.Appendf(nil, "services: {s: {url: %q}}\nbundles: {main: {service: s, resource: main.tar.gz}}\n", s.URL), ID: "replica", Log: log,
		Prepare: func(ctx context.Context, _ bundle.Content) (func(), error) { return func() {}, prepare(ctx) },
		Removed: func(context.Context, bundle.Content) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if stops > 0 {
		m.StopsWithin(stops)
	}
	return m, func() <-chan struct{} {
		done := make(chan struct{})
		go func() { defer close(done); m.Stop(context.Background()) }()
		return done
	}
}

// TestStopEndsAnActivation: its tests may take minutes, and a process that is asked to end has seconds.
func TestStopEndsAnActivation(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	var once, after sync.Once // it may be asked again until the plugins stop
	m, end := preparing(t, func(ctx context.Context) error {
		once.Do(func() { close(began) })
		<-ctx.Done()
		if got := context.Cause(ctx); got == nil || got.Error() != "the program ends" {
			t.Errorf("got %v, want the cause", got)
		}
		after.Do(func() { close(ended) })
		return context.Cause(ctx)
	}, slog.New(slog.DiscardHandler), time.Hour)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	minute(t, "the wait for an activation", began)
	done := end()
	minute(t, "what is prepared", ended)
	minute(t, "the plugins", done)
	if got := m.Statuses()["main"]; got.Revision != "" {
		t.Errorf("got %+v, want nothing active", got)
	}
}

// TestTheEndOfAStart: whoever starts may be asked to end before that is over.
func TestTheEndOfAStart(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	var once, after sync.Once // it may be asked again until the plugins stop
	m, end := preparing(t, func(ctx context.Context) error {
		once.Do(func() { close(began) })
		<-ctx.Done()
		after.Do(func() { close(ended) })
		return context.Cause(ctx)
	}, slog.New(slog.DiscardHandler), time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	minute(t, "the wait for an activation", began)
	cancel()
	minute(t, "what is prepared", ended)
	minute(t, "the plugins", end())
}

// TestStopLeavesBehindWhatDoesNotEnd, and says so.
func TestStopLeavesBehindWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	began, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	var log bytes.Buffer
	m, end := preparing(t, func(context.Context) error {
		close(began)
		<-never
		return errors.New("at last")
	}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})), time.Millisecond)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	minute(t, "the wait for an activation", began)
	minute(t, "the plugins", end())
	if got := log.String(); !strings.Contains(got, "plugins of OPA did not end") {
		t.Errorf("got log %q, want a line about what is left behind", got)
	}
}

// TestWhoServesPanics: the process goes on, OPA's status has the cause, and the next poll tries again.
func TestWhoServesPanics(t *testing.T) {
	t.Parallel()
	files := newService(t)
	files.put("/main.tar.gz", tarball(t, "1", []string{"a"}, map[string]string{"a/data.json": "1"}))
	s := &side{}
	panics := true
	m := open(t, manually(files.URL, "main"), s, func(o *bundle.Options) {
		o.Prepare = func(ctx context.Context, next bundle.Content) (func(), error) {
			publish, err := s.prepare(ctx, next)
			return func() {
				if panics {
					panic("in the middle")
				}
				publish()
			}, err
		}
	})
	if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "publishing the bundles panicked: in the middle") {
		t.Errorf("got %v, want the panic as an error", err)
	}
	if got := m.Statuses()["main"].Error; !strings.Contains(got, "in the middle") {
		t.Errorf("got status %q, want the cause", got)
	}
	panics = false
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.last().Bundles; len(got) != 1 || got[0].Revision != "1" {
		t.Errorf("got %+v, want the bundle published by the next poll", got)
	}
}
