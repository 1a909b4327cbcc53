package oci_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/assay-dev/assay/builtins/oci"
)

const (
	imageType  = "application/vnd.oci.image.manifest.v1+json"
	indexType  = "application/vnd.oci.image.index.v1+json"
	emptyType  = "application/vnd.oci.empty.v1+json"
	simpleType = "application/vnd.dev.cosign.simplesigning.v1+json"
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// fake is ggcr's registry in memory, which counts requests and may be told to misbehave.
type fake struct {
	*httptest.Server
	registry http.Handler

	mu      sync.Mutex
	log     []string                                                 // method and path of each request
	disturb func(w http.ResponseWriter, r *http.Request) (done bool) // asked first
}

func newFake(t testing.TB, opts ...registry.Option) *fake {
	t.Helper()
	f := bareFake(opts...)
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func bareFake(opts ...registry.Option) *fake {
	opts = append([]registry.Option{registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))}, opts...)
	return &fake{registry: registry.New(opts...)}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.log = append(f.log, r.Method+" "+r.URL.Path)
	disturb := f.disturb
	f.mu.Unlock()
	if disturb == nil || !disturb(w, r) {
		f.registry.ServeHTTP(w, r)
	}
}

// requests returns what arrived since the last call.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.log
	f.log = nil
	return got
}

func (f *fake) misbehave(how func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disturb = how
}

// on answers requests whose path contains part with how.
func (f *fake) on(part string, how http.HandlerFunc) {
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		how(w, r)
		return true
	})
}

func (f *fake) host() string {
	return strings.TrimPrefix(strings.TrimPrefix(f.URL, "http://"), "https://")
}

// push stores a blob and describes it.
func (f *fake) push(t testing.TB, repo, mediaType string, content []byte) desc {
	t.Helper()
	d := describe(mediaType, content)
	f.write(t, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+d.Digest, "application/octet-stream", content)
	return d
}

// tag stores a manifest under a tag or digest and describes it.
func (f *fake) tag(t testing.TB, repo, tag string, m any) desc {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	mediaType := imageType
	if man, ok := m.(man); ok && man.MediaType != "" {
		mediaType = man.MediaType
	}
	d := describe(mediaType, b)
	if tag == "" {
		tag = d.Digest
	}
	f.write(t, http.MethodPut, "/v2/"+repo+"/manifests/"+tag, mediaType, b)
	return d
}

func (f *fake) write(t testing.TB, method, path, contentType string, body []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if f.registry.ServeHTTP(w, r); w.Code/100 != 2 {
		t.Fatalf("%s %s: got status %d %s, want 2xx", method, path, w.Code, w.Body)
	}
}

type desc struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

type man struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType,omitempty"`
	ArtifactType  string `json:"artifactType,omitempty"`
	Config        *desc  `json:"config,omitempty"`
	Layers        []desc `json:"layers,omitempty"`
	Manifests     []desc `json:"manifests,omitempty"`
	Subject       *desc  `json:"subject,omitempty"`
}

func describe(mediaType string, content []byte) desc {
	sum := sha256.Sum256(content)
	return desc{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

// image pushes an image that is told apart by its name, and returns its digest reference.
func (f *fake) image(t testing.TB, repo, tag string) (ref string, d desc) {
	t.Helper()
	config := f.push(t, repo, "application/vnd.oci.image.config.v1+json", []byte(`{"name":"`+repo+tag+`"}`))
	d = f.tag(t, repo, tag, man{SchemaVersion: 2, MediaType: imageType, Config: &config})
	return f.host() + "/" + repo + "@" + d.Digest, d
}

// attach stores layers under the tag that cosign derives from the digest of ref.
func (f *fake) attach(t testing.TB, ref, suffix string, layers ...desc) desc {
	t.Helper()
	repo, digest, _ := strings.Cut(strings.TrimPrefix(ref, f.host()+"/"), "@")
	return f.tag(t, repo, strings.Replace(digest, ":", "-", 1)+suffix, man{SchemaVersion: 2, MediaType: imageType, Layers: layers})
}

// signed pushes an image with one signature.
func (f *fake) signed(t testing.TB, repo string) (ref string, layer desc) {
	t.Helper()
	ref, _ = f.image(t, repo, "v1")
	layer = f.push(t, repo, simpleType, []byte("payload of "+repo))
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "c2ln"}
	f.attach(t, ref, ".sig", layer)
	return ref, layer
}

// referrer pushes a referrer of subject with one layer, as cosign writes it.
func (f *fake) referrer(t testing.TB, repo string, subject desc, layerType, content string) desc {
	t.Helper()
	config := f.push(t, repo, emptyType, []byte("{}"))
	layer := f.push(t, repo, layerType, []byte(content))
	d := f.tag(t, repo, "", man{
		SchemaVersion: 2, MediaType: imageType, ArtifactType: layerType, Config: &config, Layers: []desc{layer}, Subject: &subject,
	})
	d.ArtifactType = layerType
	return d
}

func newClient(t testing.TB, opts ...oci.Option) *oci.Client {
	t.Helper()
	c, err := oci.New(append([]oci.Option{oci.WithPrivateRegistries()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clock is a time.Now that moves when told.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1700000000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// password is a keychain with one user for every registry.
type password struct{ user, pass string }

func (p password) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: p.user, Password: p.pass}, nil
}

func tenant(user string) oci.Credentials {
	return oci.Credentials{ID: user, Keychain: password{user, user + "-secret"}}
}

var anonymous oci.Credentials

// mustRefuse checks that err has the code, and that its message names each of the words.
func mustRefuse(t *testing.T, err error, want oci.Code, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %s", err, want)
	}
	var e *oci.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error of type %T, want *oci.Error", err)
	}
	for _, word := range words {
		if !strings.Contains(e.Message, word) {
			t.Errorf("got message %q, want it to name %q", e.Message, word)
		}
	}
}

// refused reads the signatures of ref and checks the refusal.
func refused(t *testing.T, c *oci.Client, ref string, want oci.Code, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := c.Signatures(ctx, anonymous, ref, oci.Place{})
	mustRefuse(t, err, want, words...)
	if len(l.Layers) != 0 || l.Digest != "" {
		t.Errorf("got list %+v beside a refusal, want none", l)
	}
}

// refusedLayers is refused for what costs a list its layers but not itself.
func refusedLayers(t *testing.T, c *oci.Client, ref string, want oci.Code, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := c.Signatures(ctx, anonymous, ref, oci.Place{})
	if err != nil || len(l.Layers) == 0 {
		t.Fatalf("got %d layers and error %v, want layers with errors", len(l.Layers), err)
	}
	for _, layer := range l.Layers {
		mustRefuseLayer(t, layer, want, words...)
	}
}

func mustRefuseLayer(t *testing.T, l oci.Layer, want oci.Code, words ...string) {
	t.Helper()
	if l.Err == nil || l.Content != nil {
		t.Fatalf("got %d bytes and error %v, want %s alone", len(l.Content), l.Err, want)
	}
	mustRefuse(t, l.Err, want, words...)
}

// refusedAt is refused, or refusedLayers where part is that of blobs.
func refusedAt(t *testing.T, part string, c *oci.Client, ref string, want oci.Code, words ...string) {
	t.Helper()
	if part == "/blobs/" {
		refusedLayers(t, c, ref, want, words...)
		return
	}
	refused(t, c, ref, want, words...)
}

// count returns how many of the requests contain part.
func count(requests []string, part string) int {
	return len(slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return !strings.Contains(r, part) }))
}

// calls are the three readers of evidence, for what must hold of each.
func calls(c *oci.Client) map[string]func(context.Context, oci.Credentials, string) (oci.List, error) {
	out := map[string]func(context.Context, oci.Credentials, string) (oci.List, error){}
	for name, call := range map[string]func(context.Context, oci.Credentials, string, oci.Place) (oci.List, error){
		"signatures": c.Signatures, "attestations": c.Attestations, "bundles": c.Bundles,
	} {
		out[name] = func(ctx context.Context, cred oci.Credentials, ref string) (oci.List, error) {
			return call(ctx, cred, ref, oci.Place{})
		}
	}
	return out
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, fmt.Sprintf(`{"errors":[{"code":"X","message":"m%d"}]}`, code), code)
	}
}
