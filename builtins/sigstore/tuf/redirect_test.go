package tuf

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAMirrorLeadsToNoOtherHost: its answers cannot make us ask an address of its choice, nor go on
// without TLS.
func TestAMirrorLeadsToNoOtherHost(t *testing.T) {
	t.Parallel()
	m := mint(t, time.Now().Add(time.Hour))
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, m.mirror+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(other.Close)
	r, err := New(Options{Mirror: other.URL, Root: m.root, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "got a redirect to "+m.mirror+", want none to elsewhere than "+other.URL) {
		t.Errorf("got %v, want the redirect refused", err)
	}
	if asked.Load() == 0 {
		t.Error("got no question to the mirror")
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from, to string
		after    int
		want     string
	}{
		"another path":                        {"https://tuf.example.com/1.root.json", "https://tuf.example.com/mirror/1.root.json", 1, ""},
		"from plain HTTP to TLS":              {"http://tuf.example.com/a", "https://tuf.example.com/a", 1, ""},
		"from TLS to plain HTTP":              {"https://tuf.example.com/a", "http://tuf.example.com/a", 1, "got a redirect to http://"},
		"another host":                        {"https://tuf.example.com/a", "https://tuf.example.net/a", 1, "got a redirect to https://tuf.example.net"},
		"a host below it":                     {"https://example.com/a", "https://tuf.example.com/a", 1, "got a redirect to"},
		"another port":                        {"https://tuf.example.com/a", "https://tuf.example.com:8443/a", 1, "got a redirect to"},
		"an address of metadata":              {"http://tuf.example.com/a", "http://169.254.169.254/latest", 1, "got a redirect to http://169.254.169.254"},
		"a user before the host":              {"https://tuf.example.com/a", "https://tuf.example.com@evil.example/a", 1, "got a redirect to https://evil.example"},
		"the same again, and again":           {"https://tuf.example.com/a", "https://tuf.example.com/a", mostRedirects + 1, "got more than 5 redirects"},
		"the same again, as often as may be":  {"https://tuf.example.com/a", "https://tuf.example.com/a", mostRedirects, ""},
		"by way of itself, then another host": {"https://tuf.example.com/a", "https://tuf.example.net/a", 3, "got a redirect to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := func(url string) *http.Request {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			var via []*http.Request
			for range tt.after {
				via = append(via, request(tt.from))
			}
			err := within(request(tt.to), via)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
