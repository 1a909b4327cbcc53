package rego_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
)

// TestSourceIsAskedWithTheImage: the registries that policies name are part of a
// speculative pass, so a source costs no round trip more.
func TestSourceIsAskedWithTheImage(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {signatures: [{signer: release}]}}")
	var mu sync.Mutex
	var asked []string
	at := front(t, w, func(inner http.Handler) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked = append(asked, r.URL.Path)
			mu.Unlock()
			r.URL.Path = strings.Replace(r.URL.Path, "/v2/acme/signatures/", "/v2/app/", 1)
			inner.ServeHTTP(out, r)
		}
	})
	source := at(w.Registry()) + "/acme/signatures"
	r := open(t, w, setup{policies: policy("beside", "", "") + "---\n" + policy("elsewhere", "", "    source: [{oci: "+source+"}]\n")})
	for _, want := range []struct {
		name                    string
		evaluations             int
		least, most, everywhere int
	}{
		// The ping and the tag, and the blob unless the image's own registry sent it first.
		{"cold", 2, 2, 3, 7},
		{"warm", 1, 0, 0, 0},
	} {
		asked = nil
		w.ResetRequests()
		d := r.decide(t, byDigest(t, w, "app"))
		if !d.Allowed || len(d.Images[0].Policies) != 2 {
			t.Fatalf("SRC-1: %s: got %s, want admitted by both policies", want.name, encode(t, d))
		}
		if got := r.last(); got != (rego.Observation{Evaluations: want.evaluations}) {
			t.Errorf("SRC-1: %s: got %+v, want %d evaluations", want.name, got, want.evaluations)
		}
		if n, all := len(asked), len(w.Requests()); n < want.least || n > want.most || all > want.everywhere {
			t.Errorf("SRC-1: %s: got %d requests to the source and %d in all, want %d to %d, of %d: %q",
				want.name, n, all, want.least, want.most, want.everywhere, asked)
		}
	}
}

// TestForbiddenSourceDenies: who writes a policy is not heard where nobody is.
func TestForbiddenSourceDenies(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{policies: policy("elsewhere", "", "    source: [{oci: 169.254.169.254/acme/signatures}]\n")})
	if d := r.decide(t, byDigest(t, w, "app")); d.Allowed || !slices.Equal(codes(d), []string{"forbidden_host"}) {
		t.Errorf("SRC-1: got %s, want denied for forbidden_host", encode(t, d))
	}
}

// TestNamespaceOfTheReview is whose Secrets count.
func TestNamespaceOfTheReview(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	trusted, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	root, err := trust.Parse(trusted)
	if err != nil {
		t.Fatal(err)
	}
	client, err := oci.New(oci.WithPrivateRegistries())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	facts, err := builtins.New(client, func() trust.Roots { return trust.Roots{Default: root} }, builtins.Options{
		Record: true,
		Now:    newClock().Now,
		Tenants: tenant.Named(func(namespace string, names []string) (oci.Credentials, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, namespace+"/"+strings.Join(names, ","))
			return oci.Credentials{}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, w, setup{facts: facts, policies: policy("private", "", "    source: [{signaturePullSecrets: [{name: one}, {name: two}]}]\n")})
	for _, tt := range []struct {
		namespace any
		want      string
	}{{"shop", "shop/one,two"}, {nil, "/one,two"}, {7, "/one,two"}, {map[string]any{}, "/one,two"}} {
		var document map[string]any
		if err := json.Unmarshal(pod(byDigest(t, w, "app")), &document); err != nil {
			t.Fatal(err)
		}
		document["request"].(map[string]any)["namespace"] = tt.namespace
		encoded, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		asked = nil
		if d, err := r.Decide(t.Context(), encoded); err != nil || !d.Allowed {
			t.Errorf("AUTH-4: got %s and %v, want admitted", encode(t, d), err)
		}
		if len(asked) == 0 || slices.ContainsFunc(asked, func(got string) bool { return got != tt.want }) {
			t.Errorf("AUTH-4: namespace %v: got Secrets %q asked for, want %s", tt.namespace, asked, tt.want)
		}
	}
}
