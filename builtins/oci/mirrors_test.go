package oci_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
)

// mirrored is a client whose one registry f has a mirror at m.
func mirrored(t *testing.T, f, m *fake, opts ...oci.Option) *oci.Client {
	t.Helper()
	// Near registries that have an entry are asked as it says.
	return configured(t, "", fmt.Sprintf("registries:\n- {host: %q, plainHTTP: true, mirrors: [%s/copies]}\n", f.host(), m.host()), opts...)
}

// copied are the same images in an origin and in its mirror.
func copied(t *testing.T) (origin, mirror *fake, ref string) {
	t.Helper()
	origin, mirror = newFake(t), newFake(t)
	ref, layer := origin.signed(t, "org/app")
	mirror.image(t, "copies/org/app", "v1")
	mirror.signed(t, "copies/org/app")
	mirror.push(t, "copies/org/app", simpleType, []byte("payload of org/app"))
	origin.requests()
	mirror.requests()
	if layer.Size == 0 {
		t.Fatal("got an empty layer")
	}
	return origin, mirror, ref
}

// byHost is a keychain with passwords by host.
type byHost map[string]string

func (k byHost) Resolve(of authn.Resource) (authn.Authenticator, error) {
	if user, ok := k[of.RegistryStr()]; ok {
		return &authn.Basic{Username: user, Password: user + "-secret"}, nil
	}
	return authn.Anonymous, nil
}

// heard notes every Authorization header.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) note(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if header := r.Header.Get("Authorization"); header != "" {
		h.all = append(h.all, r.Host+" "+header)
	}
}

func payload(t *testing.T, c *oci.Client, cred oci.Credentials, ref string) oci.Layer {
	t.Helper()
	l, err := c.Signatures(t.Context(), cred, ref, oci.Place{})
	if err != nil || len(l.Layers) != 1 {
		t.Fatalf("got %d layers and %v, want one", len(l.Layers), err)
	}
	return l.Layers[0]
}

func TestAMirrorWithAnotherDigestIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]http.HandlerFunc{
		"other bytes of that size": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "PAYLOAD of org/app") },
		"more bytes":               func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "payload of org/app and more") },
		"fewer bytes":              func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "payload") },
		"nothing":                  status(http.StatusNotFound),
		"a wish for a password":    status(http.StatusUnauthorized),
		"an error":                 status(http.StatusInternalServerError),
		"a redirect to metadata": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		},
		"a redirect without an end": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		},
		"a connection that is closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin, mirror, ref := copied(t)
			mirror.Config.ErrorLog = log.New(io.Discard, "", 0)
			mirror.on("/blobs/", how)
			if l := payload(t, mirrored(t, origin, mirror), anonymous, ref); l.Err != nil || string(l.Content) != "payload of org/app" {
				t.Errorf("got %q and %v, want what the origin has", l.Content, l.Err)
			}
			if count(mirror.requests(), "/blobs/") == 0 {
				t.Error("got no request to the mirror, want it to be asked first")
			}
			// Where the origin has nothing, nothing is there.
			origin.on("/blobs/", status(http.StatusNotFound))
			mustRefuseLayer(t, payload(t, mirrored(t, origin, mirror), anonymous, ref), oci.NotFound)
		})
	}
}

// TestNoCredentialsOfTheOriginForItsMirror, nor along a redirect of it.
func TestNoCredentialsOfTheOriginForItsMirror(t *testing.T) {
	t.Parallel()
	origin, mirror, ref := copied(t)
	var got heard
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.note(r)
		http.NotFound(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	origin.withPasswords()
	mirror.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		got.note(r)
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			http.Redirect(w, r, origin.URL+strings.Replace(r.URL.Path, "/copies", "", 1), http.StatusTemporaryRedirect)
		case strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
		default:
			return false
		}
		return true
	})
	alice := oci.Credentials{ID: "alice", Keychain: byHost{origin.host(): "alice"}}
	c := mirrored(t, origin, mirror)
	if l := payload(t, c, alice, ref); l.Err != nil {
		t.Errorf("got %v, want what the origin has", l.Err)
	}
	if _, err := c.Manifest(t.Context(), alice, ref); err != nil {
		t.Errorf("got %v, want the origin's manifest", err)
	}
	if count(mirror.requests(), "sha256:") < 2 {
		t.Error("got fewer than 2 requests to the mirror")
	}
	if len(got.all) > 0 {
		t.Errorf("got %q, want no credentials but to the origin", got.all)
	}
	// Whoever has none is not helped by the mirror's word.
	if _, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err == nil {
		t.Error("got a list without credentials, want it refused by the origin")
	}
}

// TestCredentialsThatNameTheMirror are for it.
func TestCredentialsThatNameTheMirror(t *testing.T) {
	t.Parallel()
	origin, mirror, ref := copied(t)
	mirror.withPasswords()
	c := mirrored(t, origin, mirror)
	alice := oci.Credentials{ID: "alice", Keychain: byHost{mirror.host(): "alice"}}
	if l := payload(t, c, alice, ref); l.Err != nil || count(origin.requests(), "/blobs/") > 0 {
		t.Errorf("got %v, want it from the mirror", l.Err)
	}
	// What alice read is no other's: bob has to ask himself.
	mirror.requests()
	if l := payload(t, c, oci.Credentials{ID: "bob", Keychain: byHost{mirror.host(): "bob"}}, ref); l.Err != nil {
		t.Errorf("got %v, want it from the origin", l.Err)
	}
	if len(mirror.requests()) == 0 || count(origin.requests(), "/blobs/") != 1 {
		t.Error("got bob served without being asked for his password")
	}
}

// TestTagsAreResolvedAtTheOrigin, and whatever else is no content of a digest.
func TestTagsAreResolvedAtTheOrigin(t *testing.T) {
	t.Parallel()
	origin, mirror, ref := copied(t)
	mirror.image(t, "copies/org/app", "other")
	named, _, _ := strings.Cut(ref, "@")
	c := mirrored(t, origin, mirror)
	digest, err := c.Resolve(t.Context(), anonymous, named+":v1")
	if err != nil || named+"@"+digest != ref {
		t.Errorf("got %s and %v, want that of the origin", digest, err)
	}
	list, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
	if err != nil || len(list.Where) != 1 || !strings.HasPrefix(list.Where[0], origin.host()) {
		t.Errorf("got %q and %v, want it looked for at the origin", list.Where, err)
	}
	if _, err := c.Bundles(t.Context(), anonymous, ref, oci.Place{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Referrers(t.Context(), anonymous, ref); err != nil {
		t.Error(err)
	}
	asked := mirror.requests()
	for _, request := range asked {
		if !strings.Contains(request, "/blobs/sha256:") && !strings.Contains(request, "/manifests/sha256:") && !strings.HasSuffix(request, "/v2/") {
			t.Errorf("got request %q to the mirror, want content by digest alone", request)
		}
	}
	if count(asked, "/blobs/sha256:") != 1 || count(origin.requests(), "/blobs/") != 0 {
		t.Errorf("got requests %q, want the payload from the mirror alone", asked)
	}
}

// TestAMirrorThatIsDownRests, so that not every piece of content waits for it.
func TestAMirrorThatIsDownRests(t *testing.T) {
	t.Parallel()
	origin, mirror, ref := copied(t)
	clock := newClock()
	c := mirrored(t, origin, mirror, oci.WithClock(clock.now), oci.WithBlobCache(0))
	mirror.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	for _, step := range []struct {
		name  string
		later time.Duration
		asked bool
	}{{"first", 0, true}, {"at once", 0, false}, {"later", 9 * time.Second, false}, {"after ten seconds", time.Second, true}} {
		clock.add(step.later)
		if _, err := c.Manifest(t.Context(), anonymous, ref); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if asked := mirror.requests(); len(asked) > 0 != step.asked {
			t.Errorf("%s: got requests %q, want some %t", step.name, asked, step.asked)
		}
	}
}

func TestFilesOfAMirror(t *testing.T) {
	t.Parallel()
	layer := gzipped(t, map[string]string{"etc/os-release": "ID=debian"})
	evil := gzipped(t, map[string]string{"etc/os-release": "ID=evil"})
	for name, tt := range map[string]struct {
		how  http.HandlerFunc // of the mirror's layers
		from string
	}{
		"good":      {nil, "mirror"},
		"another":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(evil.content) }, "origin"},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(layer.content[:9]) }, "origin"},
		"not there": {status(http.StatusNotFound), "origin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin, mirror := newFake(t), newFake(t)
			ref, m := origin.layered(t, "org/app", layer)
			mirror.layered(t, "copies/org/app", layer)
			if tt.how != nil {
				mirror.on("/blobs/"+m.Layers[0].Digest, tt.how)
			}
			got, err := mirrored(t, origin, mirror).Files(t.Context(), anonymous, ref, []string{"etc/os-release"})
			if err != nil || got.Text["etc/os-release"] != "ID=debian" {
				t.Errorf("got %v and %v, want the file of the image", got.Text, err)
			}
			if n := count(origin.requests(), "/blobs/"+m.Layers[0].Digest); (n == 1) != (tt.from == "origin") {
				t.Errorf("got %d requests for the layer at the origin, want it from the %s", n, tt.from)
			}
		})
	}
}
