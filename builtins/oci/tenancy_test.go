package oci_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
)

// withPasswords lets nobody but alice in.
func (f *fake) withPasswords() *fake {
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if user, pass, _ := r.BasicAuth(); user == "alice" && pass == "alice-secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="fake"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	return f
}

// TestNothingOfOneTenantServesAnother reads as alice and then asks for the same as others.
func TestNothingOfOneTenantServesAnother(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fake{"basic": newFake(t).withPasswords(), "token": newFake(t).withTokens()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, subject := f.image(t, "org/app", "v1")
			f.referrer(t, "org/app", subject, bundleType, "one")
			layer := f.push(t, "org/app", simpleType, []byte("payload"))
			f.attach(t, ref, ".sig", layer)
			f.attach(t, ref, ".att", layer)
			c := newClient(t)
			for call, read := range calls(c) {
				if l, err := read(t.Context(), tenant("alice"), ref); err != nil || len(l.Layers) != 1 {
					t.Fatalf("%s: got %d layers and error %v, want 1", call, len(l.Layers), err)
				}
			}
			if _, err := c.Resolve(t.Context(), tenant("alice"), f.host()+"/org/app:v1"); err != nil {
				t.Fatal(err)
			}
			f.requests()
			for _, other := range []oci.Credentials{anonymous, tenant("bob"), {ID: "Alice"}, {ID: `alice" "signatures`}} {
				for call, read := range calls(c) {
					_, err := read(t.Context(), other, ref)
					mustRefuse(t, err, oci.Unauthorized)
					if len(f.requests()) == 0 {
						t.Errorf("%s of %q: got no request, want the registry to be asked", call, other.ID)
					}
				}
				_, err := c.Resolve(t.Context(), other, f.host()+"/org/app:v1")
				mustRefuse(t, err, oci.Unauthorized)
			}
		})
	}
}

// TestBlobsOfOneTenantDoNotServeAnother: bob may read a list that names a blob which only alice may read.
func TestBlobsOfOneTenantDoNotServeAnother(t *testing.T) {
	t.Parallel()
	private := newFake(t).withPasswords()
	ref, layer := private.signed(t, "org/app")
	c := newClient(t)
	if _, err := c.Signatures(t.Context(), tenant("alice"), ref, oci.Place{}); err != nil {
		t.Fatal(err)
	}
	public := newFake(t)
	ref, _ = public.image(t, "bob/app", "v1")
	public.attach(t, ref, ".sig", layer)
	l, err := c.Signatures(t.Context(), tenant("bob"), ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	mustRefuseLayer(t, l.Layers[0], oci.NotFound, layer.Digest)
	if l, err := c.Signatures(t.Context(), tenant("alice"), ref, oci.Place{}); err != nil || len(l.Layers) != 1 {
		t.Errorf("got %d layers and error %v, want alice to have her own", len(l.Layers), err)
	}
}

// TestWorkInFlightOfOneTenantIsNotSharedWithAnother: bob asks while alice's request is under way.
func TestWorkInFlightOfOneTenantIsNotSharedWithAnother(t *testing.T) {
	t.Parallel()
	f := newFake(t).withPasswords()
	ref, _ := f.signed(t, "org/app")
	arrived, goOn := make(chan struct{}), make(chan struct{})
	usual := f.disturb
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if user, _, _ := r.BasicAuth(); user == "alice" && strings.Contains(r.URL.Path, "/manifests/") {
			close(arrived)
			<-goOn
		}
		return usual(w, r)
	})
	c := newClient(t)
	alice := make(chan error, 1)
	go func() {
		_, err := c.Signatures(t.Context(), tenant("alice"), ref, oci.Place{})
		alice <- err
	}()
	select {
	case <-arrived:
	case err := <-alice:
		t.Fatalf("got error %v, want alice's request to be under way", err)
	}
	_, err := c.Signatures(t.Context(), tenant("bob"), ref, oci.Place{})
	mustRefuse(t, err, oci.Unauthorized)
	_, err = c.Signatures(t.Context(), anonymous, ref, oci.Place{})
	mustRefuse(t, err, oci.Unauthorized)
	close(goOn)
	if err := <-alice; err != nil {
		t.Errorf("got error %v for alice, want her list", err)
	}
}

// TestAHangingRegistryDoesNotHoldUpAnother that has a blob of the same digest.
func TestAHangingRegistryDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	good, evil := newFake(t), newFake(t)
	ref, layer := good.signed(t, "org/app")
	evilRef, _ := evil.image(t, "org/app", "v1")
	evil.attach(t, evilRef, ".sig", layer)
	evil.hang(t, "/blobs/")
	arrived := make(chan struct{})
	hang := evil.disturb
	evil.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			close(arrived)
		}
		return hang(w, r)
	})
	c := newClient(t)
	go func() { _, _ = c.Signatures(t.Context(), anonymous, evilRef, oci.Place{}) }()
	<-arrived
	if _, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
		t.Errorf("got error %v, want the list", err)
	}
}

func TestCredentialsStayWithTheirRegistry(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fake{"basic": newFake(t).withPasswords(), "token": newFake(t).withTokens()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := newFake(t)
			var mu sync.Mutex
			var leaked []string
			other.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				leaked = append(leaked, r.Header.Get("Authorization")+r.Header.Get("Cookie"))
				return false
			})
			ref, _ := f.signed(t, "org/app")
			other.signed(t, "org/app")
			usual := f.disturb
			for i, host := range []string{other.host(), strings.Replace(other.host(), "127.0.0.1", "localhost", 1)} {
				f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
					if strings.Contains(r.URL.Path, "/blobs/") {
						http.Redirect(w, r, "http://"+host+r.URL.Path, http.StatusTemporaryRedirect)
						return true
					}
					return usual(w, r)
				})
				l, err := newClient(t).Signatures(t.Context(), tenant("alice"), ref, oci.Place{})
				if err != nil || len(l.Layers) != 1 {
					t.Errorf("got %d layers and error %v, want the blob of the other host", len(l.Layers), err)
				}
				if len(leaked) != i+1 || strings.Join(leaked, "") != "" {
					t.Errorf("got authorizations %q at the other host, want empty ones", leaked)
				}
			}
		})
	}
}

// TestNoTokenIsFetchedForARedirect: the challenge of a host that a redirect led to is not answered.
func TestNoTokenIsFetchedForARedirect(t *testing.T) {
	t.Parallel()
	f, other := newFake(t).withTokens(), newFake(t)
	ref, _ := f.signed(t, "org/app")
	other.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+other.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	usual := f.disturb
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}
		return usual(w, r)
	})
	l, err := newClient(t).Signatures(t.Context(), tenant("alice"), ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	mustRefuseLayer(t, l.Layers[0], oci.Unauthorized)
	if got := other.requests(); len(got) != 1 {
		t.Errorf("got requests %q at the other host, want the blob alone", got)
	}
}

type brokenKeychain struct{}

func (brokenKeychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return nil, errors.New("helper says: password is hunter2")
}

func TestRefuseKeychainThatFails(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	_, err := newClient(t).Signatures(t.Context(), oci.Credentials{ID: "x", Keychain: brokenKeychain{}}, ref, oci.Place{})
	mustRefuse(t, err, oci.Unauthorized, f.host())
	if strings.Contains(err.Error(), "hunter2") || len(f.requests()) != 0 {
		t.Errorf("got error %v, want no secret and no request", err)
	}
}
