package rego_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
)

// TestEvidenceCopiedToAnotherImageIsDenied while the image it is about is warm.
func TestEvidenceCopiedToAnotherImageIsDenied(t *testing.T) {
	t.Parallel()
	w := openWorld(t, `images: {app: {signatures: [{signer: release}]}, thief: {evidenceFrom: app}}`)
	r := open(t, w, setup{})
	app, thief := byDigest(t, w, "app"), byDigest(t, w, "thief")
	if d := r.decide(t, app); !d.Allowed {
		t.Fatalf("got %s", encode(t, d))
	}
	for _, images := range [][]string{{thief}, {app, thief}, {thief, app}} {
		d := r.decide(t, images...)
		if got := codes(d); d.Allowed || !slices.Equal(got, []string{"digest_mismatch"}) {
			t.Errorf("%v: got allowed %t and codes %v, want denied for digest_mismatch", images, d.Allowed, got)
		}
	}
}

// gate is a registry's front that lets no request for a manifest pass until it
// is opened, and wants basic credentials.
type gate struct {
	arrived chan string // Authorization of each request held
	open    chan struct{}

	mu       sync.Mutex
	requests int
}

func newGate() *gate { return &gate{arrived: make(chan string, 100), open: make(chan struct{})} }

func (g *gate) handle(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests++
		g.mu.Unlock()
		user, _, _ := r.BasicAuth()
		if user == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		}
		if strings.Contains(r.URL.Path, "/manifests/") {
			g.arrived <- user
			select {
			case <-g.open:
			case <-r.Context().Done():
				return
			}
		}
		if user == "" || user != "member" && r.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}
}

// login is a keychain with one user for every registry.
type login string

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: string(l), Password: "secret"}, nil
}

// TestWorkInFlightOfAnotherCredentialIsNotShared: the stranger gets neither the
// member's answer that is under way nor the one that is there.
func TestWorkInFlightOfAnotherCredentialIsNotShared(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	g := newGate()
	image := front(t, w, g.handle)(byDigest(t, w, "app"))
	member := open(t, w, setup{credentials: oci.Credentials{ID: "member", Keychain: login("member")}})
	stranger := open(t, w, setup{facts: member.facts, credentials: oci.Credentials{ID: "stranger", Keychain: login("stranger")}})

	var wait sync.WaitGroup
	decide := func(r *rig, allowed bool) {
		wait.Go(func() {
			d, err := r.Decide(t.Context(), pod(image))
			if err != nil || d.Allowed != allowed {
				t.Errorf("got allowed %t and %v, want %t: %v", d.Allowed, err, allowed, d.Reasons)
			}
		})
	}
	decide(member, true)
	if got := <-g.arrived; got != "member" {
		t.Fatalf("got a request of %q, want the member's", got)
	}
	if got := <-g.arrived; got != "member" { // both of its questions are under way
		t.Fatalf("got a request of %q, want the member's", got)
	}
	decide(stranger, false)
	if got := <-g.arrived; got != "stranger" {
		t.Errorf("got a request of %q, want one of the stranger's own", got)
	}
	close(g.open)
	wait.Wait()
	decide(stranger, false)
	wait.Wait()
	decide(member, true)
	wait.Wait()
}

// TestFirstOfManyCallersLeaves: the others, who share its question, get the
// answer, and the registry is asked once.
func TestFirstOfManyCallersLeaves(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	g := newGate()
	image := front(t, w, g.handle)(byDigest(t, w, "app"))
	r := open(t, w, setup{credentials: oci.Credentials{ID: "member", Keychain: login("member")}})

	first, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		d, err := r.Decide(first, pod(image))
		if d.Allowed {
			t.Error("got admitted for the one who left")
		}
		left <- err
	}()
	<-g.arrived
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			if d, err := r.Decide(t.Context(), pod(image)); err != nil || !d.Allowed {
				t.Errorf("got allowed %t and %v, want true", d.Allowed, err)
			}
		})
	}
	leave()
	if err := <-left; err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v for the one who left, want its cancellation", err)
	}
	close(g.open)
	others.Wait()
	if g.requests != 4 {
		t.Errorf("got %d requests, want 4: ping, the image's manifest, manifest, blob", g.requests)
	}
}
