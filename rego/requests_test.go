package rego_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego"
)

// TestRequests counts what one keyless attestation costs at the registry, cold
// and again within the time for which answers serve.
func TestRequests(t *testing.T) {
	t.Parallel()
	const attestation = "signer: release, predicateType: " + provenance
	for _, tt := range []struct {
		name, world, authority string
		tag                    bool
		cold, evaluations      int
	}{
		{
			name: "legacy by digest: ping, the image's manifest beside manifest and blob", cold: 4, evaluations: 2,
			world: "images: {app: {attestations: [{" + attestation + "}]}}", authority: attested,
		},
		{
			name: "legacy by tag: the tag's manifest too", cold: 4, evaluations: 3, tag: true,
			world: "images: {app: {attestations: [{" + attestation + "}]}}", authority: attested,
		},
		{
			name: "bundle by the referrers API: ping, the image's manifest beside referrers, manifest and blob", cold: 5, evaluations: 2,
			world: "images: {app: {attestations: [{" + attestation + ", format: bundle}]}}", authority: attested + bundled,
		},
		{
			name: "bundle by the fallback tag: the API's 404 too", cold: 6, evaluations: 2,
			world:     "referrers: tag\nimages: {app: {attestations: [{" + attestation + ", format: bundle}]}}",
			authority: attested + bundled,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := openWorld(t, tt.world)
			r := open(t, w, setup{policies: policy("attested", "", tt.authority), config: rego.Config{Tags: "resolve"}})
			image := byDigest(t, w, "app")
			if tt.tag {
				image = byTag(t, w, "app")
			}
			for _, decision := range []struct {
				name                  string
				requests, evaluations int
			}{{"cold", tt.cold, tt.evaluations}, {"warm", 0, 1}} {
				w.ResetRequests()
				if d := r.decide(t, image); !d.Allowed {
					t.Fatalf("%s: got %s", decision.name, encode(t, d))
				}
				if got := w.Requests(); len(got) != decision.requests {
					t.Errorf("%s: got %d requests, want %d\n%s", decision.name, len(got), decision.requests, strings.Join(got, "\n"))
				}
				if got, want := r.last(), (rego.Observation{Evaluations: decision.evaluations}); got != want {
					t.Errorf("%s: got %+v, want %+v", decision.name, got, want)
				}
			}
		})
	}
}

// TestRequestsWithToken: a registry that wants a bearer token may cost two requests
// more. It costs one: the ping that is answered 401 is not repeated.
func TestRequestsWithToken(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {attestations: [{signer: release, predicateType: "+provenance+"}]}}")
	var mu sync.Mutex
	var requests []string
	at := front(t, w, func(inner http.Handler) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) {
			mu.Lock()
			requests = append(requests, r.URL.Path)
			mu.Unlock()
			switch {
			case r.URL.Path == "/token":
				fmt.Fprint(out, `{"token": "t0ken", "expires_in": 300}`)
			case r.Header.Get("Authorization") != "Bearer t0ken":
				out.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="test"`)
				out.WriteHeader(http.StatusUnauthorized)
			default:
				inner.ServeHTTP(out, r)
			}
		}
	})
	r := open(t, w, setup{policies: policy("attested", "", attested)})
	if d := r.decide(t, at(byDigest(t, w, "app"))); !d.Allowed {
		t.Fatalf("got %s", encode(t, d))
	}
	if len(requests) != 5 {
		t.Errorf("got %d requests, want 5: ping, token, the image's manifest, manifest, blob\n%s", len(requests), strings.Join(requests, "\n"))
	}
}

// MUT-5: what is asked about distinct images is
// asked side by side. Rounds are counted as the longest chain of requests of
// which each began after the one before had ended: a slow machine cannot make it
// longer than the engine does.
func TestTenImagesTakeTheRoundTripsOfOne(t *testing.T) {
	t.Parallel()
	const latency = 50 * time.Millisecond
	yaml, images := "images:\n", make([]string, 10)
	for i := range images {
		yaml += fmt.Sprintf("  app%d: {signatures: [{signer: release}]}\n", i)
	}
	w := openWorld(t, yaml)
	w.SetLatency(latency)
	var spans spans
	at := front(t, w, spans.record)
	for i := range images {
		images[i] = at(byTag(t, w, fmt.Sprint("app", i)))
	}
	r := open(t, w, setup{config: rego.Config{Tags: "resolve"}})
	if d := r.decide(t, images...); !d.Allowed {
		t.Fatalf("got %s", encode(t, d))
	}
	if got := spans.rounds(); got > 5 {
		t.Errorf("got %d round trips in a row, want at most 5", got)
	}
	if got := r.last().Evaluations; got > 4 {
		t.Errorf("got %d evaluations, want at most 4", got)
	}
	if got := len(spans.list); got != 40 {
		t.Errorf("got %d requests, want 40", got)
	}
	t.Logf("%d requests in %d round trips, %+v", len(spans.list), spans.rounds(), r.last())
}

// spans are when requests were under way.
type spans struct {
	mu   sync.Mutex
	list []span
}

type span struct{ from, to time.Time }

func (s *spans) record(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from := time.Now()
		inner.ServeHTTP(w, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list = append(s.list, span{from, time.Now()})
	}
}

// rounds is the size of the largest set of spans that do not overlap.
func (s *spans) rounds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	sorted := slices.SortedFunc(slices.Values(s.list), func(a, b span) int { return cmp.Compare(a.to.UnixNano(), b.to.UnixNano()) })
	rounds, end := 0, time.Time{}
	for _, one := range sorted {
		if one.from.After(end) {
			rounds, end = rounds+1, one.to
		}
	}
	return rounds
}
