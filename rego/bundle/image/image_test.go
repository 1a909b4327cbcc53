package image_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/assay-dev/assay/rego/bundle/image"
)

const bundleType = "application/vnd.oci.image.layer.v1.tar+gzip"

// registry has what is put there, and answers as it is told.
type registry struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string][]byte
	disturb func(w http.ResponseWriter, r *http.Request) bool
	asked   []string
}

func newRegistry(t testing.TB) *registry {
	t.Helper()
	r := &registry{objects: map[string][]byte{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP implements [http.Handler].
func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.asked = append(r.asked, request.Method+" "+request.URL.Path+" "+request.Header.Get("Authorization"))
	body, disturb := r.objects[request.URL.Path], r.disturb
	r.mu.Unlock()
	if disturb != nil && disturb(w, request) {
		return
	}
	if body == nil {
		http.NotFound(w, request)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(body).String())
	if request.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// requests are those since the last call.
func (r *registry) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.asked
	r.asked = nil
	return out
}

type descriptor struct {
	MediaType string            `json:"mediaType"`
	Digest    string            `json:"digest"`
	Size      int               `json:"size"`
	Platform  map[string]string `json:"platform,omitempty"`
}

func (r *registry) blob(content string) descriptor {
	of := digest.FromString(content).String()
	r.objects["/v2/p/blobs/"+of] = []byte(content)
	return descriptor{MediaType: bundleType, Digest: of, Size: len(content)}
}

func (r *registry) manifest(tag string, what map[string]any) descriptor {
	text, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	of := digest.FromBytes(text).String()
	r.objects["/v2/p/manifests/"+of] = text
	if tag != "" {
		r.objects["/v2/p/manifests/"+tag] = text
	}
	return descriptor{Digest: of, Size: len(text)}
}

func (r *registry) image(tag string, layers ...descriptor) descriptor {
	return r.manifest(tag, map[string]any{"layers": layers})
}

func (r *registry) service(token string) image.Service {
	return image.Service{URL: r.URL, Client: &http.Client{}, Prepare: func(request *http.Request) error {
		if token != "" {
			request.Header.Set("Authorization", token)
		}
		return nil
	}}
}

func open(t testing.TB, reference string) *image.Repository {
	t.Helper()
	out, err := image.New(reference, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"p": "want registry/repository:tag", "r/p": "without a tag or a digest", "r/P:x": "want registry/repository:tag", "": "want registry/repository:tag",
		"r/p@sha256:00": "want registry/repository:tag",
	} {
		if _, err := image.New(reference, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", reference, err, want)
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	one := r.image("prod", r.blob("one"))
	repository := open(t, "elsewhere.example.com/p:prod")
	got, err := repository.Fetch(t.Context(), r.service("Basic x"), nil)
	if err != nil || string(got.Content) != "one" || got.Digest != digest.FromString("one").String() {
		t.Fatalf("got %+v, %v, want the bundle", got, err)
	}
	r.requests()
	got, err = repository.Fetch(t.Context(), r.service("Basic x"), []string{got.Digest})
	if asked := r.requests(); err != nil || got.Content != nil || len(asked) != 1 {
		t.Errorf("unchanged: got %+v, %v after %q, want nothing after one request", got, err, asked)
	}
	if got, err = repository.Fetch(t.Context(), r.service("Basic x"), []string{"sha256:other"}); err != nil || string(got.Content) != "one" {
		t.Errorf("refused before: got %+v, %v, want the bundle again", got, err)
	}
	r.image("prod", r.blob("two"))
	if got, err = repository.Fetch(t.Context(), r.service("Basic x"), []string{digest.FromString("one").String()}); err != nil || string(got.Content) != "two" {
		t.Errorf("changed: got %+v, %v, want the other bundle", got, err)
	}
	if got, err = open(t, "r/p@"+one.Digest).Fetch(t.Context(), r.service(""), nil); err != nil || string(got.Content) != "one" {
		t.Errorf("by digest: got %+v, %v, want the first", got, err)
	}
}

// TestIndexes are of images for many platforms, with what builders note of each.
func TestIndexes(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	noted := r.image("", r.blob("provenance"))
	noted.Platform = map[string]string{"os": "unknown", "architecture": "unknown"}
	r.manifest("prod", map[string]any{"manifests": []descriptor{noted, r.image("", r.blob("one"))}})
	got, err := open(t, "r/p:prod").Fetch(t.Context(), r.service(""), nil)
	if err != nil || string(got.Content) != "one" {
		t.Errorf("got %+v, %v, want the bundle", got, err)
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	other := func(path string, body []byte) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, path) || r.Method == http.MethodHead {
				return false
			}
			_, _ = w.Write(body)
			return true
		}
	}
	for name, tt := range map[string]struct {
		arrange func(r *registry)
		want    string
	}{
		"a larger bundle than there may be": {func(r *registry) { r.image("prod", r.blob(strings.Repeat("x", 1001))) }, "got a bundle of 1001 bytes, want at most 1000"},
		"a negative size": {func(r *registry) {
			layer := r.blob("x")
			layer.Size = -1
			r.image("prod", layer)
		}, "got a bundle of -1 bytes"},
		"a bundle that is larger than it says": {func(r *registry) {
			layer := r.blob("one and more")
			layer.Size = 3
			r.image("prod", layer)
		}, "got more than 3 bytes"},
		"a bundle that never ends":   {func(r *registry) { r.disturb = other("/blobs/", make([]byte, 1<<20)) }, "got more than 3 bytes"},
		"other bytes":                {func(r *registry) { r.disturb = other("/blobs/", []byte("two")) }, "got bytes with digest"},
		"another manifest":           {func(r *registry) { r.disturb = other("/manifests/", []byte(`{"layers":[]}`)) }, "got bytes with digest"},
		"a manifest that never ends": {func(r *registry) { r.disturb = other("/manifests/", make([]byte, 2<<20)) }, "got more than 1048576 bytes"},
		"no manifest": {func(r *registry) {
			r.objects["/v2/p/manifests/prod"] = []byte("<html>")
			r.objects["/v2/p/manifests/"+digest.FromString("<html>").String()] = []byte("<html>")
		}, "want a manifest"},
		"no layers":               {func(r *registry) { r.image("prod") }, "got no layers"},
		"two bundles":             {func(r *registry) { r.image("prod", r.blob("one"), r.blob("two")) }, "got 2 layers"},
		"none among other layers": {func(r *registry) { r.image("prod", descriptor{MediaType: "text/plain"}) }, "got 0 layers"},
		"a digest that leads out": {func(r *registry) {
			r.image("prod", descriptor{MediaType: bundleType, Digest: "sha256:../../x", Size: 1})
		}, "digest: got"},
		"a digest of another kind": {func(r *registry) {
			r.image("prod", descriptor{MediaType: bundleType, Digest: digest.SHA512.FromString("x").String(), Size: 1})
		}, "digest: got"},
		"an index that leads nowhere": {func(r *registry) { r.manifest("prod", map[string]any{"manifests": []descriptor{{Digest: "x"}}}) }, "digest: got"},
		"an index of very many": {func(r *registry) {
			var many []descriptor
			for i := range 100 {
				many = append(many, r.manifest("", map[string]any{"n": i}))
			}
			r.manifest("prod", map[string]any{"manifests": many})
		}, "more than 32 manifests"},
		"indexes in each other": {func(r *registry) {
			inner := r.image("", r.blob("one"))
			for i := range 6 {
				inner = r.manifest(map[bool]string{true: "prod"}[i == 5], map[string]any{"manifests": []descriptor{inner}})
			}
		}, "deeper than 4"},
		"a tag that is not there": {func(r *registry) { delete(r.objects, "/v2/p/manifests/prod") }, "got status 404, want 200"},
		"a tag without a digest": {func(r *registry) {
			r.disturb = func(w http.ResponseWriter, r *http.Request) bool { return r.Method == http.MethodHead }
		}, "Docker-Content-Digest: digest: got"},
		"a registry that breaks down": {func(r *registry) {
			r.disturb = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
		}, "got status 500"},
		"the metadata service": {func(r *registry) {
			r.disturb = func(w http.ResponseWriter, request *http.Request) bool {
				http.Redirect(w, request, "http://169.254.169.254/latest/meta-data", http.StatusFound)
				return true
			}
		}, "led to http://169.254.169.254"},
		"a server of tokens in the clear": {func(r *registry) {
			r.disturb = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Www-Authenticate", `Bearer realm="http://tokens.example.com/token",service="r"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
		}, "led to http://tokens.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t)
			r.image("prod", r.blob("one"))
			tt.arrange(r)
			got, err := open(t, "r/p:prod").Fetch(t.Context(), r.service("Basic secret"), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || got.Content != nil {
				t.Errorf("got %q, %v, want %q", got.Content, err, tt.want)
			}
			if asked := len(r.requests()); asked > 40 {
				t.Errorf("got %d requests, want few", asked)
			}
		})
	}
}

// TestStall: whatever a registry does not send, a fetch ends in time.
func TestStall(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	r.image("prod", r.blob("one"))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	r.disturb = func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.Contains(request.URL.Path, "/blobs/") {
			return false
		}
		_, _ = w.Write([]byte("o"))
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-over
		return true
	}
	if _, err := open(t, "r/p:prod").Fetch(ctx, r.service(""), nil); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// TestCredentialsStayAtHome: a registry leads to other hosts for bytes, and gets credentials for
// tokens; nobody else does.
func TestCredentialsStayAtHome(t *testing.T) {
	t.Parallel()
	r, store := newRegistry(t), newRegistry(t)
	layer := r.blob("one")
	r.image("prod", layer)
	store.objects["/bytes"] = []byte("one")
	r.disturb = func(w http.ResponseWriter, request *http.Request) bool {
		switch {
		case request.URL.Path == "/token":
			if request.Header.Get("Authorization") != "Basic secret" {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			fmt.Fprint(w, `{"token": "short"}`)
			return true
		case request.Header.Get("Authorization") != "Bearer short":
			w.Header().Set("Www-Authenticate", `Bearer realm="`+r.URL+`/token",service="r",scope="repository:p:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		case strings.Contains(request.URL.Path, "/blobs/"):
			http.Redirect(w, request, store.URL+"/bytes?signature=s3cret", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	got, err := open(t, "r/p:prod").Fetch(t.Context(), r.service("Basic secret"), nil)
	if err != nil || !bytes.Equal(got.Content, []byte("one")) {
		t.Fatalf("got %+v, %v, want the bundle", got, err)
	}
	if asked := store.requests(); len(asked) != 1 || asked[0] != "GET /bytes " {
		t.Errorf("the other host: got %q, want one request without credentials", asked)
	}
	// It may ask for them, and gets none, and its URL is in no message.
	store.disturb = func(w http.ResponseWriter, _ *http.Request) bool {
		at, _ := url.Parse(store.URL)
		w.Header().Set("Www-Authenticate", `Bearer realm="http://`+at.Host+`/token",service="r"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	_, err = open(t, "r/p:prod").Fetch(t.Context(), r.service("Basic secret"), nil)
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v, want a refusal without the signature", err)
	}
	for _, asked := range store.requests() {
		if asked != "GET /bytes " {
			t.Errorf("the other host: got %q, want requests without credentials", asked)
		}
	}
}

// TestTheCertificateOfAClientStaysAtHome: another host may ask for one, and is shown none.
func TestTheCertificateOfAClientStaysAtHome(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]string{"for the bytes": "/blobs/", "for tokens": "/manifests/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, away := newRegistry(t), newRegistry(t)
			var shown [2]atomic.Int64
			secure := func(r *registry, count *atomic.Int64) *x509.Certificate {
				server := httptest.NewUnstartedServer(r)
				server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
				server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
					count.Add(int64(len(request.TLS.PeerCertificates)))
					r.ServeHTTP(w, request)
				})
				server.StartTLS()
				t.Cleanup(server.Close)
				r.Server = server
				return server.Certificate()
			}
			roots := x509.NewCertPool()
			roots.AddCert(secure(home, &shown[0]))
			roots.AddCert(secure(away, &shown[1]))
			home.image("prod", home.blob("one"))
			away.objects["/bytes"] = []byte("one")
			home.disturb = func(w http.ResponseWriter, request *http.Request) bool {
				switch {
				case !strings.Contains(request.URL.Path, elsewhere) || strings.HasPrefix(request.Header.Get("Authorization"), "Bearer "):
					return false
				case elsewhere == "/blobs/":
					http.Redirect(w, request, away.URL+"/bytes", http.StatusTemporaryRedirect)
				default:
					w.Header().Set("Www-Authenticate", `Bearer realm="`+away.URL+`/token",service="r",scope="repository:p:pull"`)
					w.WriteHeader(http.StatusUnauthorized)
				}
				return true
			}
			away.objects["/token"] = []byte(`{"token": "short"}`)
			with := home.TLS.Certificates // any one will do
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &with[0], nil }}}}
			t.Cleanup(client.CloseIdleConnections)
			from := image.Service{URL: home.URL, Client: client, Prepare: func(*http.Request) error { return nil }}
			got, err := open(t, "r/p:prod").Fetch(t.Context(), from, nil)
			if err != nil || string(got.Content) != "one" || len(away.requests()) != 1 {
				t.Fatalf("got %+v, %v, want the bundle by way of the other host", got, err)
			}
			if shown[0].Load() == 0 || shown[1].Load() != 0 {
				t.Errorf("got %d certificates at home and %d elsewhere, want some and none", shown[0].Load(), shown[1].Load())
			}
		})
	}
}
