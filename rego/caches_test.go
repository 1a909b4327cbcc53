package rego_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// TestNoSignaturesServesForAMoment: within two seconds without a request, then
// the registry is asked again.
func TestNoSignaturesServesForAMoment(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	clock := newClock()
	r := open(t, w, setup{clock: clock})
	for _, tt := range []struct {
		after    time.Duration
		requests int
	}{{0, 4}, {1900 * time.Millisecond, 0}, {200 * time.Millisecond, 2}} { // ping, image, tag and referrers; then the latter two
		clock.Advance(tt.after)
		w.ResetRequests()
		d := r.decide(t, byDigest(t, w, "app"))
		if got := codes(d); !slices.Equal(got, []string{"no_signatures"}) {
			t.Errorf("got codes %v, want no_signatures", got)
		}
		if got := w.Requests(); len(got) != tt.requests {
			t.Errorf("after %v: got requests %v, want %d", tt.after, got, tt.requests)
		}
	}
}

// TestFailuresOfARegistryAreNeverKept: the next decision asks again.
func TestFailuresOfARegistryAreNeverKept(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	for _, code := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusForbidden} {
		var broken atomic.Bool
		broken.Store(true)
		image := front(t, w, func(inner http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if broken.Load() && r.URL.Path != "/v2/" {
					w.WriteHeader(code)
					return
				}
				inner.ServeHTTP(w, r)
			}
		})(byDigest(t, w, "app"))
		r := open(t, w, setup{})
		if d := r.decide(t, image); d.Allowed {
			t.Fatalf("status %d: got admitted", code)
		}
		broken.Store(false)
		if d := r.decide(t, image); !d.Allowed {
			t.Errorf("after status %d: got %s, want admitted", code, encode(t, d))
		}
	}
}

// TestIdentityMismatchIsComputedAgain from the evidence that is there.
func TestIdentityMismatchIsComputedAgain(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {signatures: [{signer: laptop}]}}")
	r := open(t, w, setup{})
	for i, evaluations := range []int{2, 2} {
		w.ResetRequests()
		d := r.decide(t, byDigest(t, w, "app"))
		if got := codes(d); !slices.Equal(got, []string{"identity_mismatch"}) {
			t.Errorf("got codes %v, want identity_mismatch", got)
		}
		if got := w.Requests(); (len(got) > 0) != (i == 0) {
			t.Errorf("decision %d: got requests %v", i, got)
		}
		if got := r.last().Evaluations; got != evaluations {
			t.Errorf("decision %d: got %d evaluations, want %d", i, got, evaluations)
		}
	}
}

// CACHE-1: an answer serves for its time, and then the registry is asked for the list again.
func TestAnswerServesForItsTime(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	clock := newClock()
	r := open(t, w, setup{clock: clock})
	for _, tt := range []struct {
		after    time.Duration
		requests int
	}{{0, 4}, {9 * time.Second, 0}, {2 * time.Second, 1}} {
		clock.Advance(tt.after)
		w.ResetRequests()
		if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed {
			t.Fatalf("got %s", encode(t, d))
		}
		if got := w.Requests(); len(got) != tt.requests {
			t.Errorf("after %v more: got requests %v, want %d", tt.after, got, tt.requests)
		}
	}
}

// manyImages have one outcome each.
const manyImages = `images:
  app: {signatures: [{signer: release}]}
  bare: {}
  laptop: {signatures: [{signer: laptop}, {signer: laptop, fault: expired}]}
  broken: {signatures: [{signer: release, fault: set-tampered}, {signer: release, fault: other-image}]}
`

// manyCauses are policies inside that fail for several causes each, and warn. Sets
// and objects have no order of their own.
func manyCauses() []string {
	return []string{
		`  policy:
    type: rego
    data: |
      package sigstore
      isCompliant[response] {
        cause := ["zeta", "alpha", "mid", "beta", "omega"][_]
        response := {"result": false, "error": cause, "warning": sprintf("beware of %s", [cause])}
      }
`,
		`  policy:
    type: cue
    data: |
      authorityMatches: main: signatures: [{id: =~"^no$", subject: "nobody", issuer: "none"}]
`,
		`  policy:
    type: rego
    data: |
      package sigstore
      isCompliant[{"result": true, "warning": w, "error": ""}] { w := {"one", "two", "three", "four"}[_] }
`,
		`  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { data.other }
`,
	}
}

// COMB-4, MSG-24: one text in a hundred runs, cold or warm, whatever the order of the policies and
// however the answers arrive, equal reviews give equal bytes.
func TestHundredRunsOneText(t *testing.T) {
	t.Parallel()
	w := openWorld(t, manyImages)
	var documents string
	for i, inside := range append(manyCauses(), "") {
		mode := []string{"", "  mode: warn\n"}[i%2]
		documents += policy(fmt.Sprintf("policy-%d", i), mode, "  - name: second\n    static: {action: fail, message: no}\n"+inside) + "---\n"
	}
	images := []string{byDigest(t, w, "app"), byDigest(t, w, "bare"), byDigest(t, w, "laptop"), byDigest(t, w, "broken"), "bad ref"}
	setup := setup{policies: documents, clock: newClock()}
	r := open(t, w, setup)
	facts := r.facts
	r.source.Open = func(about rego.Workload) rego.Answers { return facts.Open(oci.Credentials{}, tenant.Workload(about)) }
	want := encode(t, r.decide(t, images...))
	for _, text := range []string{"zeta", "(not_compliant)", "four", "authorityMatches.main.signatures.0.id: invalid value", "got a reference to data.other", "bad ref", "no_signatures"} {
		if !strings.Contains(want, text) {
			t.Errorf("got %s, want %s among the texts", want, text)
		}
	}
	for run := range 100 {
		switch {
		case run%25 == 0:
			rand.Shuffle(len(r.source.Policies), func(i, j int) {
				r.source.Policies[i], r.source.Policies[j] = r.source.Policies[j], r.source.Policies[i]
			})
			set, err := rego.Compile(t.Context(), r.source)
			if err != nil {
				t.Fatal(err)
			}
			r.Swap(set)
		case run%5 == 0:
			facts = factsOf(t, w, setup)
		}
		if got := encode(t, r.decide(t, images...)); got != want {
			t.Fatalf("run %d: got\n%s\nwant\n%s", run, got, want)
		}
	}
}

// TestManyDecisionsAtOnce gives the race detector something to look at: warm and
// cold decisions of one engine, which share answers.
func TestManyDecisionsAtOnce(t *testing.T) {
	t.Parallel()
	w := openWorld(t, manyImages)
	r := open(t, w, setup{policies: policy("a", "", "") + "---\n" + policy("b", "  mode: warn\n", "")})
	images := []string{byDigest(t, w, "app"), byDigest(t, w, "bare"), byDigest(t, w, "laptop"), byDigest(t, w, "broken")}
	want := make([]string, len(images))
	for i, image := range images {
		want[i] = encode(t, open(t, w, setup{policies: policy("a", "", "") + "---\n" + policy("b", "  mode: warn\n", "")}).decide(t, image))
	}
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			if got := encode(t, r.decide(t, images[i%len(images)])); got != want[i%len(images)] {
				t.Errorf("got %s, want %s", got, want[i%len(images)])
			}
		})
	}
	wait.Wait()
}

// TestSwapKeepsDecisionsUnderWay: a decision ends with the set that it began with.
func TestSwapKeepsDecisionsUnderWay(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Handler().ServeHTTP(out, r)
	}))
	defer server.Close()
	image := byDigest(t, w, "app")
	image = server.Listener.Addr().String() + image[len(w.Registry()):]
	r := open(t, w, setup{})
	source := r.source
	documents, err := cip.Parse([]byte(refuseAll))
	if err != nil {
		t.Fatal(err)
	}
	source.Policies = documents.Policies
	deny, err := rego.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan rego.Decision)
	go func() {
		d, _ := r.Decide(t.Context(), pod(image))
		done <- d
	}()
	<-arrived
	r.Swap(deny)
	if d := r.decide(t, image); d.Allowed {
		t.Error("got admitted by the new set, want denied")
	}
	close(release)
	if d := <-done; !d.Allowed {
		t.Errorf("got %s by the old set, want admitted", encode(t, d))
	}
	if got := r.Set(); got != deny {
		t.Error("got another set than the one that was put in place")
	}
}

const refuseAll = `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: refuse-all}
spec: {images: [{glob: "**"}], authorities: [{static: {action: fail, message: closed}}]}
`
