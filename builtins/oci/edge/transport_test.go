package edge_test

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// TestGuardedTransport: others than registries leave by the same door.
func TestGuardedTransport(t *testing.T) {
	t.Parallel()
	policy := func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "policy")
	}
	plain := httptest.NewServer(http.HandlerFunc(policy))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(policy))
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, tt := range []struct {
		name, url string
		private   bool
		want      string // a code, or the body
	}{
		{"a private address where it is allowed", secure.URL, true, "policy"},
		{"a private address where it is not", secure.URL, false, "forbidden_host"},
		{"a metadata address, allowed or not", "http://169.254.169.254/latest", true, "forbidden_host"},
		{"a redirect to a metadata address", secure.URL + "?to=https://169.254.169.254/latest", true, "forbidden_host"},
		{"a redirect from https to http", secure.URL + "?to=" + plain.URL, true, "forbidden_host"},
		{"a redirect to the same host", secure.URL + "?to=/policy", true, "policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := http.Client{Transport: edge.Guarded(tt.private, roots), CheckRedirect: edge.LimitRedirects}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(r)
			if err != nil {
				if refused := (*edge.Error)(nil); !errors.As(err, &refused) || string(refused.Code) != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			defer func() { _ = resp.Body.Close() }()
			if body, _ := io.ReadAll(resp.Body); string(body) != tt.want {
				t.Errorf("got %q, want %s", body, tt.want)
			}
		})
	}
}

// TestRedirectsAreCounted: a server that redirects to itself is left.
func TestRedirectsAreCounted(t *testing.T) {
	t.Parallel()
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	client := http.Client{Transport: edge.Guarded(true, nil), CheckRedirect: edge.LimitRedirects}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, edge.Malformed) || !strings.Contains(err.Error(), "redirects") || asked != 6 {
		t.Errorf("got %v after %d requests, want malformed after 6", err, asked)
	}
}
