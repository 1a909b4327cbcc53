package artifact_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
)

func TestRedirectedBlobIsReadWithoutCredentials(t *testing.T) {
	t.Parallel()
	h, content := newHub(t), bundle(t, "7")
	at := pushed(t, h, "/policies/prod:latest", made(t, content, "7"))
	seen := make(chan string, 1)
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		_, _ = w.Write(content)
	}))
	t.Cleanup(storage.Close)
	h.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(storage.URL, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect)
	})
	if _, err := artifact.Pull(t.Context(), client(t), withPassword(), at, artifact.MaxBytes); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "" {
		t.Errorf("got credentials at another host, want none")
	}
}

// password is a keychain with one for every host.
type password struct{}

func (password) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{Username: "ci", Password: "secret"}), nil
}

func withPassword() oci.Credentials { return oci.Credentials{ID: "test", Keychain: password{}} }

func TestPushUsesCredentials(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.mu.Lock()
	h.disturb = func(w http.ResponseWriter, r *http.Request) bool {
		if name, secret, _ := r.BasicAuth(); name == "ci" && secret == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	h.mu.Unlock()
	image := made(t, bundle(t, "7"), "7")
	if _, err := artifact.Push(t.Context(), artifact.Way{Private: true, Credentials: withPassword()}, h.host()+"/policies/prod:1", image); err != nil {
		t.Fatal(err)
	}
	_, err := artifact.Push(t.Context(), artifact.Way{Private: true}, h.host()+"/policies/prod:1", image)
	refused(t, err, oci.Unauthorized, "got status 401")
}

func TestPushRefuses(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	image := made(t, bundle(t, "7"), "7")
	_, err := artifact.Push(t.Context(), artifact.Way{Private: true}, h.host()+"/policies/prod@sha256:"+strings.Repeat("0", 64), image)
	refused(t, err, oci.Malformed, "got a digest, want a tag")
	_, err = artifact.Push(t.Context(), artifact.Way{}, h.host()+"/policies/prod:1", image)
	refused(t, err, oci.ForbiddenHost, "want a public one")
	_, err = artifact.Push(t.Context(), artifact.Way{Private: true}, "169.254.169.254/policies/prod:1", image)
	refused(t, err, oci.ForbiddenHost, "never dialled")
	h.on("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"what a stranger says"}]}`)
	})
	_, err = artifact.Push(t.Context(), artifact.Way{Private: true}, h.host()+"/policies/prod:1", image)
	refused(t, err, oci.Unauthorized, "got status 403")
	if strings.Contains(err.Error(), "stranger") {
		t.Errorf("got %q, want nothing that the registry wrote", err)
	}
	if _, err := artifact.Image([]byte("no gzip"), "1"); err == nil || !strings.Contains(err.Error(), "want a .tar.gz") {
		t.Errorf("got %v, want no image of what is no gzip", err)
	}
	if _, err := artifact.Image(bundle(t, "1")[:40], "1"); err == nil || !strings.Contains(err.Error(), "broken gzip") {
		t.Errorf("got %v, want no image of half a gzip", err)
	}
}

func TestPushEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h.on("/uploads/", func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := artifact.Push(ctx, artifact.Way{Private: true}, h.host()+"/policies/prod:1", made(t, bundle(t, "7"), "7"))
	refused(t, err, oci.Timeout, "push "+h.host()+"/policies/prod:1")
}
