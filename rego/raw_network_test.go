package rego_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/raw"
)

// verifies wants a signature of every image of a Pod, by asking itself.
const verifies = `package policies.signed

authority := ` + authority + `

deny contains sprintf("%s: %s", [image, answer.error.code]) if {
	image := input.request.object.spec.containers[_].image
	answer := cosign.verify(image, authority)
	not answer.ok
}
`

// TestPolicyInRegoAsksRegistries through the session: all at once, speculatively, and what
// is missing in one evaluation is no answer of the policy.
func TestPolicyInRegoAsksRegistries(t *testing.T) {
	t.Parallel()
	w := openWorld(t, `images:
  one: {signatures: [{signer: release}]}
  two: {signatures: [{signer: release}]}
  bare: {}
`)
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: map[string]string{"signed.rego": verifies}})
	d := r.decide(t, byDigest(t, w, "one"), byDigest(t, w, "two"))
	if !d.Allowed || len(d.Rego) != 1 || d.Rego[0].Outcome != "passed" {
		t.Errorf("got %s, want both admitted", encode(t, d))
	}
	if got := r.last().Evaluations; got != 2 {
		t.Errorf("got %d evaluations, want 2: all questions at once", got)
	}
	d = r.decide(t, byDigest(t, w, "one"), byDigest(t, w, "bare"))
	if want := "failed policy: signed: " + byDigest(t, w, "bare") + ": no_signatures"; d.Allowed || len(d.Reasons) != 1 || d.Reasons[0] != want {
		t.Errorf("got %q, want %q", d.Reasons, want)
	}
}

// TestPolicyInRegoReachesNoOtherRegistry: its author chooses no hosts. The answer is
// forbidden_host, and nobody is dialled, in no evaluation.
func TestPolicyInRegoReachesNoOtherRegistry(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	other, requests := another(t, w)
	host, _, _ := strings.Cut(other, "/")
	asks := fmt.Sprintf(`package policies.asks

authority := %s

elsewhere := %q

own := input.request.object.spec.containers[0].image

beside := object.union(authority, {"source": [{"oci": %q}]})

answers := {
	"resolve": oci.resolve(elsewhere),
	"manifest": oci.manifest(elsewhere),
	"verify": cosign.verify(elsewhere, authority),
	"attestations": cosign.attestations(elsewhere, authority, "slsaprovenance"),
	"source": cosign.verify(own, beside),
	"own": cosign.verify(own, authority),
}

deny contains sprintf("%%s: %%s", [name, answer.error.code]) if {
	some name, answer in answers
	not answer.ok
}
`, authority, other, host+"/evidence")
	closed := setup{policies: static("everything", "**", "pass", ""), modules: map[string]string{"asks.rego": asks}}
	d := open(t, w, closed).decide(t, byDigest(t, w, "app"))
	want := []string{"attestations", "manifest", "resolve", "source", "verify"}
	for i, name := range want {
		want[i] = "failed policy: asks: " + name + ": forbidden_host"
	}
	if got := strings.Join(d.Reasons, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("got %d requests to the other registry, want none", n)
	}
	listed := closed
	listed.registries = []string{host}
	d = open(t, w, listed).decide(t, byDigest(t, w, "app"))
	for _, reason := range d.Reasons {
		if strings.Contains(reason, "forbidden_host") {
			t.Errorf("got %q, want the registry asked that the installation lists", reason)
		}
	}
	if requests.Load() == 0 {
		t.Error("got no request, want the registry asked that the installation lists")
	}
	// What a ClusterImagePolicy names may be asked as well.
	sourced := closed
	sourced.policies = policy("signed", "", "    source: [{oci: "+host+"/evidence}]\n")
	d = open(t, w, sourced).decide(t, byDigest(t, w, "app"))
	if strings.Contains(strings.Join(d.Reasons, "\n"), "forbidden_host") {
		t.Errorf("got %q, want the registry asked that a ClusterImagePolicy names", d.Reasons)
	}
	if got := d.Rego[0]; got.Error != nil {
		t.Errorf("got the error %+v, want an answer of the registry", got.Error)
	}
}

// sends is a policy that sends, and waits for an answer of a registry besides.
func sends(url string) map[string]string {
	return map[string]string{"sends.rego": fmt.Sprintf(`package policies.sends

answer := http.send({"method": "get", "url": %q, "enable_redirect": true})

deny contains "the service says no" if not answer.body.fine

deny contains "unsigned" if not cosign.verify(input.request.object.spec.containers[0].image, %s).ok
`, url, authority)}
}

// TestSendsOncePerDecision: the evaluations of a decision share what was answered, and two
// decisions nothing.
func TestSendsOncePerDecision(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		out.Header().Set("Content-Type", "application/json")
		_, _ = out.Write([]byte(`{"fine": true}`))
	}))
	t.Cleanup(server.Close)
	r := open(t, w, setup{
		policies: static("everything", "**", "pass", ""), modules: sends(server.URL),
		allow: raw.Allow{Builtins: []string{"http.send"}, Hosts: []string{"127.0.0.1"}},
	})
	for n := range 2 {
		if d := r.decide(t, byDigest(t, w, "app")); !d.Allowed {
			t.Errorf("got %s, want admitted", encode(t, d))
		}
		if n == 0 && r.last().Evaluations < 2 {
			t.Errorf("got %d evaluations, want several", r.last().Evaluations)
		}
		if got := int(requests.Load()); got != n+1 {
			t.Errorf("got %d requests after %d decisions, want as many", got, n+1)
		}
	}
}

// TestSendsToNamedHostsOnly: another host fails the policy, and is not sent to.
func TestSendsToNamedHostsOnly(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(server.Close)
	redirecting := httptest.NewServer(http.RedirectHandler(strings.Replace(server.URL, "127.0.0.1", "localhost", 1), http.StatusFound))
	t.Cleanup(redirecting.Close)
	for name, tt := range map[string]struct {
		url  string
		host string
	}{
		"named by the policy": {server.URL, "example.com"},
		"by a redirect":       {redirecting.URL, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{
				policies: static("everything", "**", "pass", ""), modules: sends(tt.url),
				allow: raw.Allow{Builtins: []string{"http.send"}, Hosts: []string{tt.host}},
			})
			d := r.decide(t, byDigest(t, w, "app"))
			if d.Allowed || len(d.Rego) != 1 || d.Rego[0].Error == nil || !strings.Contains(d.Rego[0].Error.Message, "disallowed host") {
				t.Errorf("got %s, want a policy that fails", encode(t, d))
			}
			if n := requests.Load(); n != 0 {
				t.Errorf("got %d requests, want none", n)
			}
		})
	}
}

// TestPolicyInRegoSeesTheInputOfItsCall, also outside of an engine: what the set's modules
// need is in the metadata of an evaluation, whatever the input is.
func TestPolicyInRegoSeesTheInputOfItsCall(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{policies: static("everything", "**", "pass", ""), modules: map[string]string{"innocent.rego": innocent}})
	answers := r.source.Open(rego.Workload{})
	metadata := r.Set().Metadata(answers)
	for _, tt := range []struct {
		input any
		want  bool
	}{
		{map[string]any{"request": map[string]any{"object": map[string]any{"metadata": map[string]any{"labels": map[string]any{"bad": "1"}}}}}, true},
		{map[string]any{}, false},
		{"no review", false},
	} {
		got, err := rego.AskPolicy(t.Context(), metadata, "innocent", tt.input)
		if err != nil {
			t.Fatal(err)
		}
		if got.OK != true || (len(got.Deny) > 0) != tt.want {
			t.Errorf("%v: got %+v, want a denial %t", tt.input, got, tt.want)
		}
	}
}
