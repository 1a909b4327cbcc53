package keys_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/rego/cip"
)

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func remotePolicy(url, sum string) cip.Policy {
	return cip.Policy{Name: "p", Spec: cip.Spec{Policy: &cip.PolicyRef{Type: "rego", Remote: &cip.RemotePolicy{URL: cip.URL(url), Sha256sum: sum}}}}
}

// origin is a server of policies.
type origin struct {
	*httptest.Server
	requests atomic.Int64
	down     atomic.Bool
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	mux := http.NewServeMux()
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	mux.HandleFunc("/policy", text("package sigstore"))
	mux.HandleFunc("/empty", text(""))
	mux.HandleFunc("/binary", text("\xff"))
	mux.HandleFunc("/nul", text("\x00"))
	mux.HandleFunc("/large", text(strings.Repeat("x", 1<<20+1)))
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/policy", http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) })
	mux.HandleFunc("/hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	o.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.requests.Add(1)
		if o.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func TestRemotePolicies(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	host := strings.TrimPrefix(o.URL, "https://")
	const policy = "package sigstore"
	good := sumOf(policy)
	for _, tt := range []struct {
		name, url, sum string
		want, gap      string
	}{
		{"POL-3: the content", o.URL + "/policy", good, policy, ""},
		{"POL-3: a digest in capitals", o.URL + "/policy", strings.ToUpper(good), policy, ""},
		{"POL-3: a redirect over https", o.URL + "/moved", good, policy, ""},
		{"POL-3: another digest", o.URL + "/policy", sumOf("x"), "",
			"failed to check sha256sum from policy remote: " + sumOf("x") + " got " + good + ": https://" + host + "/policy"},
		{"POL-3: not there", o.URL + "/absent", good, "", "failed to fetch content from policy url with code 404: https://" + host + "/absent"},
		{"POL-2: not https", "http://" + host + "/policy", good, "", "policy url: host and https scheme are expected"},
		{"a redirect to plain HTTP", o.URL + "/plain", good, "", "policy url https://" + host + "/plain: got a redirect to http, want https"},
		{"redirects without end", o.URL + "/loop", good, "", "policy url https://" + host + "/loop: got more than 5 redirects"},
		{"more than 1 MiB", o.URL + "/large", good, "", "policy url https://" + host + "/large: got more than 1048576 bytes"},
		{"not UTF-8", o.URL + "/binary", sumOf("\xff"), "", "policy url https://" + host + "/binary: got bytes that are not UTF-8 text"},
		{"a NUL", o.URL + "/nul", sumOf("\x00"), "", "policy url https://" + host + "/nul: got bytes that are not UTF-8 text"},
		{"nothing", o.URL + "/empty", sumOf(""), "", "policy url https://" + host + "/empty: got no content"},
		{"a server that hangs", o.URL + "/hangs", good, "", "policy url https://" + host + "/hangs: context deadline exceeded"},
		{"a query is not repeated", o.URL + "/large?token=hunter2", good, "", "policy url https://" + host + "/large: got more than 1048576 bytes"},
		{"nor is a password", strings.Replace(o.URL, "https://", "https://user:hunter2@", 1) + "/large", good, "",
			"policy url https://" + host + "/large: got more than 1048576 bytes"},
		{"a certificate that is not trusted", "https://localhost" + host[strings.LastIndex(host, ":"):] + "/policy", good, "",
			"policy url https://localhost" + host[strings.LastIndex(host, ":"):] + "/policy: tls: failed to verify certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			patience := time.Minute // for a machine that is busy
			if strings.HasSuffix(tt.url, "/hangs") {
				patience = 200 * time.Millisecond
			}
			resolver := keys.New(keys.Options{Transport: o.Client().Transport, KMS: none(t), Timeout: patience})
			got, _ := resolver.Resolve(t.Context(), []cip.Policy{remotePolicy(tt.url, tt.sum)}, keys.Sources{})
			if diff := cmp.Diff(&cip.PolicyRef{Type: "rego", Data: tt.want}, got[0].Spec.Policy); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
			gap := got[0].Gaps["spec.policy"]
			if !strings.HasPrefix(gap, tt.gap) || (tt.gap == "") != (gap == "") || strings.Contains(gap, "hunter2") {
				t.Errorf("got gap %q, want %q", gap, tt.gap)
			}
		})
	}
}

func TestRemoteWithoutTransport(t *testing.T) {
	t.Parallel()
	got, _ := keys.New(keys.Options{KMS: none(t)}).Resolve(t.Context(), []cip.Policy{remotePolicy("https://example.com/p", sumOf("x"))}, keys.Sources{})
	if want := "policy url https://example.com/p: no way to fetch policies was given"; got[0].Gaps["spec.policy"] != want {
		t.Errorf("got gap %q, want %q", got[0].Gaps["spec.policy"], want)
	}
}

// TestRemoteIsFetchedOnce: the same digest is the same content, for ever and from
// any URL, whether the URL answers or not.
func TestRemoteIsFetchedOnce(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	now := time.Unix(0, 0)
	resolver := keys.New(keys.Options{Transport: o.Client().Transport, KMS: none(t), Now: func() time.Time { return now }})
	sum := sumOf("package sigstore")
	resolve := func(policies ...cip.Policy) {
		t.Helper()
		got, warnings := resolver.Resolve(t.Context(), policies, keys.Sources{})
		for _, p := range got {
			if p.Spec.Policy.Data != "package sigstore" || p.Gaps != nil || warnings != nil {
				t.Errorf("got %+v, gaps %v and warnings %v, want the policy", p.Spec.Policy, p.Gaps, warnings)
			}
		}
	}
	resolve(remotePolicy(o.URL+"/policy", sum), remotePolicy(o.URL+"/policy", sum))
	o.down.Store(true)
	for range 3 {
		now = now.Add(1000 * time.Hour)
		resolve(remotePolicy(o.URL+"/policy", sum), remotePolicy(o.URL+"/elsewhere", strings.ToUpper(sum)))
	}
	if got := o.requests.Load(); got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
}

// TestRemoteIsTriedAgain where there was none, and not at every load.
func TestRemoteIsTriedAgain(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.down.Store(true)
	now := time.Unix(0, 0)
	resolver := keys.New(keys.Options{Transport: o.Client().Transport, KMS: none(t), Now: func() time.Time { return now }})
	resolve := func() string {
		got, _ := resolver.Resolve(t.Context(), []cip.Policy{remotePolicy(o.URL+"/policy", sumOf("package sigstore"))}, keys.Sources{})
		return got[0].Gaps["spec.policy"]
	}
	down := "failed to fetch content from policy url with code 503: " + o.URL + "/policy"
	for i, want := range []string{down, down} {
		if got := resolve(); got != want {
			t.Errorf("load %d: got gap %q, want %q", i, got, want)
		}
	}
	if got := o.requests.Load(); got != 1 {
		t.Errorf("got %d requests, want 1: the second load comes too soon", got)
	}
	o.down.Store(false)
	now = now.Add(time.Minute)
	if got := resolve(); got != "" {
		t.Errorf("got gap %q, want none", got)
	}
}

// counting is a transport that knows how many requests are under way.
type counting struct {
	inner     http.RoundTripper
	mu        sync.Mutex
	once      sync.Once
	now, most int
	full      chan struct{}
}

func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	if c.now == 8 { // all that may be under way are
		c.once.Do(func() { close(c.full) })
	}
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.now--; c.mu.Unlock() }()
	select {
	case <-c.full:
	case <-request.Context().Done():
	}
	return c.inner.RoundTrip(request)
}

func TestFetchesAreParallelAndBounded(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	transport := &counting{inner: o.Client().Transport, full: make(chan struct{})}
	var policies []cip.Policy
	for i := range 20 {
		policies = append(policies, remotePolicy(fmt.Sprintf("%s/policy?%d", o.URL, i), sumOf(fmt.Sprint(i))))
	}
	got, _ := keys.New(keys.Options{Transport: transport, KMS: none(t)}).Resolve(t.Context(), policies, keys.Sources{})
	for i, p := range got {
		if gap := p.Gaps["spec.policy"]; !strings.HasPrefix(gap, "failed to check sha256sum") {
			t.Errorf("policy %d: got gap %q, want the digest's", i, gap)
		}
	}
	if transport.most != 8 {
		t.Errorf("got %d requests at once, want 8", transport.most)
	}
}
