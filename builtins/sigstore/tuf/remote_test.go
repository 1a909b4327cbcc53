package tuf

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The remote of a TrustRoot (TR-2) is a repository with names of its own.
func TestRemoteWithItsOwnNames(t *testing.T) {
	t.Parallel()
	m := mint(t, time.Now().Add(time.Hour))
	if err := os.Rename(filepath.Join(m.dir, "targets"), filepath.Join(m.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ targets, target, want string }{
		"TR-4: targets elsewhere":                   {"elsewhere", "", ""},
		"TR-4: targets where they are by default":   {"", "", "404"},
		"TR-5: a target that is not named":          {"elsewhere", "other.json", "no certificate authorities found"},
		"TR-4: targets that lead out of the mirror": {"../elsewhere", "", ""}, // a URL: the server says what is there
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := New(Options{Mirror: m.mirror, Root: m.root, Targets: test.targets, Target: test.target, Cache: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			err = r.Refresh(t.Context())
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestTwoRemotesOfOneMirror keep apart what they believe.
func TestTwoRemotesOfOneMirror(t *testing.T) {
	t.Parallel()
	m, other := mint(t, time.Now().Add(time.Hour)), mint(t, time.Now().Add(time.Hour))
	cache := t.TempDir()
	open := func(root []byte, name string) *Repository {
		r, err := New(Options{Mirror: m.mirror, Root: root, Cache: filepath.Join(cache, name)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := open(m.root, "a").Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := open(other.root, "b")
	if err := b.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "not enough signatures") {
		t.Errorf("TR-2: got %v, want the metadata of another root refused", err)
	}
	if root, _ := b.Root(); root != nil {
		t.Error("TR-2: got the root of another one's cache")
	}
}

// TestRefreshEndsWithItsContext though the mirror never answers, or never ends.
func TestRefreshEndsWithItsContext(t *testing.T) {
	t.Parallel()
	m := mint(t, time.Now().Add(time.Hour))
	asked := make(chan struct{}, 100)
	for name, handler := range map[string]http.HandlerFunc{
		"TR-2: a mirror that never answers": func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		},
		"TR-2: an answer that never ends": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			asked <- struct{}{}
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			r, err := New(Options{Mirror: server.URL, Root: m.root, Cache: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			if err := r.Refresh(ctx); err == nil || !strings.Contains(err.Error(), "context canceled") {
				t.Errorf("got %v, want it ended with the context", err)
			}
		})
	}
}

// TestAnswersOfAMirrorAreBounded by what the updater wants of each file.
func TestAnswersOfAMirrorAreBounded(t *testing.T) {
	t.Parallel()
	m := mint(t, time.Now().Add(time.Hour))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "2.root.json") {
			http.NotFound(w, r)
			return
		}
		for chunk := make([]byte, 1<<16); ; { // until the client has enough
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	r, err := New(Options{Mirror: server.URL, Root: m.root, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "got more than ") {
		t.Errorf("TR-2: got %v, want the endless file refused", err)
	}
}
