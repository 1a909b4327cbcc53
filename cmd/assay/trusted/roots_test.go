package trusted

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/world/tuf"
)

// mirror serves the root of the lab.
func (l *lab) mirror(t *testing.T) *tuf.Mirror {
	t.Helper()
	repository, err := tuf.New(tuf.At(time.Now().Add(time.Hour)), tuf.Target{Name: "trusted_root.json", Content: readFile(t, l.root)})
	if err != nil {
		t.Fatal(err)
	}
	m := tuf.Serve(repository)
	t.Cleanup(m.Close)
	return m
}

// mirrored is a policy whose trust root is that of a mirror.
func (l *lab) mirrored(t *testing.T, m *tuf.Mirror, cache string) *Policy {
	t.Helper()
	flags := l.flags()
	flags.TrustedRoot = ""
	flags.TUF.Mirror, flags.TUF.Root, flags.TUF.Cache = m.URL, written(t, string(m.Root)), cache
	p, err := NewPolicy(t.Context(), flags, []string{written(t, keyless)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAMirrorThatIsDownAtTheStart costs seconds, not the hour until trust roots are refreshed.
func TestAMirrorThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sign(t, l.push(t, "latest", "1"), "ci")
	m := l.mirror(t)
	m.Down.Store(true)
	s := l.sourcesOf(t, l.mirrored(t, m, t.TempDir()))
	l.run(t, s)
	feeds, err := s.takes([]configured.Source{l.registry("prod", "latest")})
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[string]bundle.Status{}
	for end := time.Now().Add(time.Minute); statuses["prod"].Error == "" && time.Now().Before(end); s.Tell(statuses) {
		time.Sleep(10 * time.Millisecond)
	}
	if statuses["prod"].Error == "" {
		t.Error("got no error without a trust root, want a denial")
	}
	m.Down.Store(false)
	if body(t, feeds["prod"]) == "" {
		t.Error("got no bundle once the mirror is up, want one")
	}
}

// TestWhatServesFromTheCacheIsRefreshedSoon: the mirror may have had other keys meanwhile.
func TestWhatServesFromTheCacheIsRefreshedSoon(t *testing.T) {
	t.Parallel()
	l, cache := newLab(t), t.TempDir()
	m := l.mirror(t)
	if p := l.mirrored(t, m, cache); p.stale != nil {
		t.Fatal(p.stale)
	}
	m.Down.Store(true)
	p := l.mirrored(t, m, cache)
	if p.stale == nil || p.rootless() != 0 {
		t.Fatalf("got %v and %d roots that do not serve, want a failure and none", p.stale, p.rootless())
	}
	m.Down.Store(false)
	asked := m.Asked.Load()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.KeepFresh(ctx, slog.New(slog.DiscardHandler))
	}()
	for m.Asked.Load() == asked && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("got no request, want the root refreshed soon")
	}
	cancel()
	<-over
}

// TestPollFetchesOnceATrustRootServes: after a night of failures it would wait for minutes.
func TestPollFetchesOnceATrustRootServes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fetcher(t, t.TempDir(), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fetches := 0
	f.Poll(ctx, Polling{Min: time.Hour, Max: time.Hour}, func(Result, error) error {
		switch fetches++; fetches {
		case 1:
			f.options.Policy.rooted.ring()
		case 2:
			cancel()
		}
		return nil
	})
	if fetches != 2 {
		t.Errorf("got %d fetches, want another at once", fetches)
	}
}

func TestRefreshing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		failures       int
		least, longest time.Duration
	}{
		{"fresh", 0, time.Hour, 66 * time.Minute},
		{"after a failure", 1, time.Second / 2, time.Second},
		{"after many", 9, 5 * time.Second, 10 * time.Second},
		{"after a night", 100000, 5 * time.Second, 10 * time.Second},
	} {
		different := map[time.Duration]bool{}
		for range 100 {
			got := refreshing(tt.failures)
			if different[got] = true; got < tt.least || got > tt.longest {
				t.Errorf("%s: got %s, want from %s to %s", tt.name, got, tt.least, tt.longest)
			}
		}
		if len(different) < 50 {
			t.Errorf("%s: got %d different delays of 100, want them spread", tt.name, len(different))
		}
	}
}
