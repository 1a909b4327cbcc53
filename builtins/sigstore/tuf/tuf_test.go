package tuf

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// repository serves a real TUF repository of a private Sigstore, valid until
// 2036, and can be switched off.
func repository(t *testing.T) (mirror string, root []byte, down *atomic.Bool) {
	t.Helper()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: the real TUF repository is not here")
	}
	dir := filepath.Join(data, "trust", "conforma-private-sigstore-2026-05", "tuf-repository")
	root, err := os.ReadFile(filepath.Join(dir, "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	down = &atomic.Bool{}
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, root, down
}

func TestConformanceTUF(t *testing.T) {
	mirror, root, down := repository(t)
	now := time.Now()
	options := Options{Mirror: mirror, Root: root, Cache: t.TempDir(), MaxStale: time.Hour, Now: func() time.Time { return now }}
	repository, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if got, cause := repository.Root(); got != nil || !strings.Contains(cause, "not fetched yet") {
		t.Errorf("before the first refresh: got %v, %q, want no root and why", got, cause)
	}
	if err := repository.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, cause := repository.Root()
	if first == nil {
		t.Fatalf("after a refresh: got no root, %q", cause)
	}

	down.Store(true)
	if err := repository.Refresh(t.Context()); err == nil {
		t.Error("mirror down: got no error, want to be told")
	}
	now = now.Add(time.Hour)
	if got, cause := repository.Root(); got == nil {
		t.Errorf("mirror down, not stale yet: got %q, want the last good root", cause)
	}
	now = now.Add(time.Second)
	if got, cause := repository.Root(); got != nil || !strings.Contains(cause, "trusted root is stale") {
		t.Errorf("mirror down for too long: got %v, %q, want no root and why", got, cause)
	}

	now = now.Add(-2 * time.Minute)
	restarted, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := restarted.Refresh(t.Context()); err == nil {
		t.Error("restart with the mirror down: got no error, want to be told")
	}
	if got, cause := restarted.Root(); got == nil || got.Hash() != first.Hash() {
		t.Errorf("restart with the mirror down: got %v, %q, want the same root", got, cause)
	}
	now = now.Add(2 * time.Minute)
	if got, cause := restarted.Root(); got != nil || !strings.Contains(cause, "trusted root is stale") {
		t.Errorf("the cache is as old as it was: got %v, %q, want no root and why", got, cause)
	}
}

func TestTUFRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a mirror that is down, without a cache", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		repository, err := New(Options{Mirror: server.URL, Cache: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := repository.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("got %v, want an error that names the mirror", err)
		}
		if got, cause := repository.Root(); got != nil || !strings.Contains(cause, server.URL) {
			t.Errorf("got %v, %q, want no root, and the mirror in the cause", got, cause)
		}
	})
	t.Run("a repository that another root signed", func(t *testing.T) {
		t.Parallel()
		m := mint(t, time.Now().Add(time.Hour))
		public, err := New(Options{Mirror: m.mirror, Cache: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := public.Refresh(t.Context()); err == nil {
			t.Error("got a root, want the signature of the metadata refused")
		}
	})
	for name, options := range map[string]Options{
		"no cache directory": {},
		"a negative age":     {Cache: t.TempDir(), MaxStale: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(options); err == nil {
				t.Error("got no error")
			}
		})
	}
}
