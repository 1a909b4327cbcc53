package rego_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// authority is that of the policies here, for modules that ask on their own.
const authority = `{"name": "main", "keyless": {"identities": [{
	"issuer": "https://token.actions.githubusercontent.com",
	"subject": "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
}]}}`

// told decides by a module of its own about the image named app.
func told(t *testing.T, w *world.World, module string) *rig {
	t.Helper()
	return open(t, w, setup{modules: map[string]string{"test.rego": asking(module)}, query: "data.policies.test.decision"})
}

// asking is a policy of the rules, which may name an authority and the image.
func asking(rules string) string {
	return "package policies.test\n\nauthority := " + authority + "\n\nimage := input.request.object.spec.containers[0].image\n\n" + rules
}

// another is a registry that counts who talks to it.
func another(t *testing.T, w *world.World) (ref string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Handler().ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	return strings.ReplaceAll(byDigest(t, w, "app"), w.Registry(), strings.TrimPrefix(server.URL, "http://")), requests
}

const signedApp = "images: {app: {signatures: [{signer: release}]}}"

// TestErrorInPendingPassIsThrownAway: the two values of complete conflict only
// while the answer is missing.
func TestErrorInPendingPassIsThrownAway(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := told(t, w, `
answer := cosign.verify(image, authority)
complete := true if answer
complete := true if true
complete := false if not answer
decision := {"allowed": complete}
`)
	if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed {
		t.Errorf("got %s, want admitted", encode(t, d))
	}
	if got := r.last().Evaluations; got != 2 {
		t.Errorf("got %d evaluations, want 2: the first ended in an error", got)
	}
}

// TestErrorInFinalPassIsNoDecision is the other half.
func TestErrorInFinalPassIsNoDecision(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := told(t, w, `
answer := cosign.verify(image, authority)
complete := true if true
complete := false if answer
decision := {"allowed": complete}
`)
	d, err := r.Decide(t.Context(), pod(byDigest(t, w, "app")))
	if err == nil || d.Allowed || !strings.Contains(err.Error(), "conflict") {
		t.Errorf("got %+v and %v, want an error that names the conflict", d, err)
	}
}

// TestSpeculativePassContactsNoOtherHost: the module asks another registry only
// as long as the first answer is undefined, which the decision never does.
func TestSpeculativePassContactsNoOtherHost(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	other, requests := another(t, w)
	r := told(t, w, fmt.Sprintf(`
default elsewhere := false
answer := cosign.verify(image, authority)
elsewhere := cosign.verify(%q, authority).ok if not answer
decision := {"allowed": answer.ok, "reasons": [r | elsewhere; r := "elsewhere"]}
`, other))
	if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed || len(d.Reasons) > 0 {
		t.Errorf("got %s, want admitted without reasons", encode(t, d))
	}
	if got := requests.Load(); got != 0 {
		t.Errorf("got %d requests to the other registry, want 0", got)
	}
}

// TestSpeculationAmongOtherHosts: of two registries out of scope, the one that is
// asked only while the other has not answered hears nothing.
func TestSpeculationAmongOtherHosts(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	wanted, heard := another(t, w)
	unwanted, unheard := another(t, w)
	r := told(t, w, fmt.Sprintf(`
default elsewhere := false
answer := cosign.verify(%q, authority)
elsewhere := cosign.verify(%q, authority).ok if not answer
decision := {"allowed": answer.ok, "reasons": [r | elsewhere; r := "elsewhere"]}
`, wanted, unwanted))
	if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed {
		t.Errorf("got %s, want admitted", encode(t, d))
	}
	if heard.Load() == 0 || unheard.Load() != 0 {
		t.Errorf("got %d and %d requests, want some and 0", heard.Load(), unheard.Load())
	}
}

// TestQuestionOutOfScopeIsAnsweredWhenTheDecisionNeedsIt: after everything else.
func TestQuestionOutOfScopeIsAnsweredWhenTheDecisionNeedsIt(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	other, requests := another(t, w)
	r := told(t, w, fmt.Sprintf(`
answer := cosign.verify(image, authority)
elsewhere := cosign.verify(%q, authority)
decision := {"allowed": true} if { answer.ok; elsewhere.ok }
`, other))
	if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed {
		t.Errorf("got %s, want admitted", encode(t, d))
	}
	if got := requests.Load(); got == 0 {
		t.Error("got no request to the other registry, want its answer")
	}
	if got := r.last().Evaluations; got != 3 {
		t.Errorf("got %d evaluations, want 3: none, the image's, the other registry's", got)
	}
}

// TestBoundOnEvaluations: a chain of questions that is longer than any bound
// still gets its answers, one after the other.
func TestBoundOnEvaluations(t *testing.T) {
	t.Parallel()
	const length = 20
	var chain strings.Builder
	yaml := "images:\n  app: {signatures: [{signer: release}]}\n"
	for i := range length {
		yaml += fmt.Sprintf("  link%d: {}\n", i)
	}
	w := openWorld(t, yaml)
	chain.WriteString("link0 := oci.resolve(\"" + byTag(t, w, "link0") + "\")\n")
	for i := 1; i < length; i++ {
		fmt.Fprintf(&chain, "link%d := oci.resolve(%q) if link%d.ok\n", i, byTag(t, w, fmt.Sprint("link", i)), i-1)
	}
	fmt.Fprintf(&chain, "decision := {\"allowed\": link%d.ok}\n", length-1)
	r := told(t, w, chain.String())
	if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed {
		t.Errorf("got %s, want admitted", encode(t, d))
	}
	if got, want := r.last(), (rego.Observation{Evaluations: 9, Blocked: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestRandomnessIsTheSameInEveryPass: else a pass would ask what the next does not.
func TestRandomnessIsTheSameInEveryPass(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := told(t, w, `
decision := {"allowed": answer.ok, "reasons": [sprintf("%d %s", [n, uuid.rfc4122("a")])]} if {
	n := rand.intn("a", 1000000)
	answer := cosign.verify(image, object.union(authority, {"name": sprintf("%d", [n])}))
}
`)
	first := encode(t, r.decide(t, byDigest(t, w, "app")))
	if got := r.last().Evaluations; got != 2 {
		t.Errorf("got %d evaluations, want 2", got)
	}
	if got := encode(t, r.decide(t, byDigest(t, w, "app"))); got != first {
		t.Errorf("got %s, then %s at the same time", first, got)
	}
}

// TestOneQuestionHasOneAnswer: a tag that moves while a decision is made names one
// digest in all of it, at whichever place of the policies it is asked for.
func TestOneQuestionHasOneAnswer(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}, other: {}}")
	var asked atomic.Int64
	image := front(t, w, func(inner http.Handler) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/app/manifests/latest" && asked.Add(1) > 1 {
				r.URL.Path = "/v2/other/manifests/latest"
			}
			inner.ServeHTTP(out, r)
		}
	})(byTag(t, w, "app"))
	r := open(t, w, setup{client: []oci.Option{oci.WithTagTTL(0)}, query: "data.policies.test.decision", modules: map[string]string{"test.rego": asking(`
judged := oci.resolve(image)

admitted := oci.resolve(image) if judged.ok

decision := {"allowed": judged.digest == admitted.digest, "reasons": [judged.digest, admitted.digest]}
`)}})
	if d := r.decide(t, image); !d.Allowed || asked.Load() != 1 {
		t.Errorf("got digests %q after %d requests, want one, and one request", d.Reasons, asked.Load())
	}
}
