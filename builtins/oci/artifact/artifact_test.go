package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/open-policy-agent/opa/v1/download"
	"github.com/open-policy-agent/opa/v1/plugins/rest" //nolint:depguard // OPA's downloader, which is what the images are for, wants its client

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
)

// bundle is one that OPA takes.
func bundle(t testing.TB, revision string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, file := range []struct{ name, content string }{
		{".manifest", fmt.Sprintf(`{"revision":%q,"roots":["policies/a"]}`, revision)},
		{"policies/a/a.rego", "package policies.a\n\nx := 1\n"},
	} {
		if err := archive.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, file.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// hub is a registry in memory that may be told to misbehave.
type hub struct {
	*httptest.Server
	mu      sync.Mutex
	disturb func(w http.ResponseWriter, r *http.Request) bool
}

func newHub(t testing.TB) *hub {
	t.Helper()
	h, inner := &hub{}, registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		disturb := h.disturb
		h.mu.Unlock()
		if disturb == nil || !disturb(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// on answers requests whose path contains part.
func (h *hub) on(part string, how http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disturb = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, part) {
			how(w, r)
			return true
		}
		return false
	}
}

func (h *hub) host() string { return strings.TrimPrefix(h.URL, "http://") }

func client(t testing.TB) *oci.Client {
	t.Helper()
	c, err := oci.New(oci.WithPrivateRegistries())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pushed(t testing.TB, h *hub, ref string, image v1.Image) string {
	t.Helper()
	at, err := artifact.Push(t.Context(), artifact.Way{Private: true}, h.host()+ref, image)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func made(t testing.TB, content []byte, revision string) v1.Image {
	t.Helper()
	image, err := artifact.Image(content, revision)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func refused(t *testing.T, err error, code oci.Code, says string) {
	t.Helper()
	if !errors.Is(err, code) || !strings.Contains(err.Error(), says) {
		t.Errorf("got error %v, want %s with %q in it", err, code, says)
	}
}

func TestPulledIsWhatWasPushed(t *testing.T) {
	t.Parallel()
	h, content := newHub(t), bundle(t, "7")
	at := pushed(t, h, "/policies/prod:latest", made(t, content, "7"))
	for _, ref := range []string{h.host() + "/policies/prod:latest", at} {
		got, err := artifact.Pull(t.Context(), client(t), oci.Credentials{}, ref, artifact.MaxBytes)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bundle, content) || got.Ref != at || !strings.HasSuffix(at, "@"+got.Digest) {
			t.Errorf("%s: got %d bytes at %s, want %d at %s", ref, len(got.Bundle), got.Ref, len(content), at)
		}
		if err := artifact.Check(got.Digest, got.Manifest, got.Bundle); err != nil {
			t.Error(err)
		}
	}
}

func TestEqualBundlesAreEqualImages(t *testing.T) {
	t.Parallel()
	first, err := made(t, bundle(t, "7"), "7").Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := made(t, bundle(t, "7"), "7").Digest()
	if err != nil || first != second {
		t.Errorf("got %s and %s, %v, want one", first, second, err)
	}
	// Another program, or another version of this one, has to get the same.
	fixed := []byte{
		0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	}
	const want = "sha256:a36b874ac24719899edf5d3a63f7bb60160b682c0dbb71bd01438bdee7bd57dd"
	if got, err := made(t, fixed, "1").Digest(); err != nil || got.String() != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestOPADownloadsIt(t *testing.T) {
	t.Parallel()
	h, content := newHub(t), bundle(t, "7")
	pushed(t, h, "/policies/prod:latest", made(t, content, "7"))
	client, err := rest.New(fmt.Appendf(nil, `{"name": "hub", "url": %q, "type": "oci"}`, h.URL), nil)
	if err != nil {
		t.Fatal(err)
	}
	config := download.Config{}
	if err := config.ValidateAndInjectDefaults(); err != nil {
		t.Fatal(err)
	}
	var got download.Update
	d := download.NewOCI(config, client, h.host()+"/policies/prod:latest", t.TempDir()).
		WithCallback(func(_ context.Context, u download.Update) error { got = u; return u.Error })
	if err := d.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Bundle == nil || got.Bundle.Manifest.Revision != "7" || len(got.Bundle.Modules) != 1 {
		t.Errorf("got %+v, want the bundle of revision 7", got.Bundle)
	}
}

func TestPullRefusesOtherImages(t *testing.T) {
	t.Parallel()
	h, content := newHub(t), bundle(t, "7")
	extra := static.NewLayer([]byte("more"), types.OCILayer)
	other := static.NewLayer(content, "application/vnd.oci.image.layer.v1.tar+zstd")
	empty, err := mutate.ConfigFile(made(t, content, ""), &v1.ConfigFile{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := mutate.AppendLayers(made(t, content, ""), extra)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := mutate.AppendLayers(mutate.MediaType(emptyImage(t), types.OCIManifestSchema1), other)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, tag string
		image     v1.Image
		code      oci.Code
		says      string
	}{
		{"with a second layer", "two", two, oci.Malformed, "got 2 layers, want one"},
		{"without a layer", "none", emptyImage(t), oci.Malformed, "got 0 layers"},
		{"with a layer of another type", "zstd", wrong, oci.Malformed, `layers[0]: got media type "application/vnd.oci.image.layer.v1.tar+zstd"`},
		{"that is as it should be", "good", empty, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := pushed(t, h, "/policies/odd:"+tt.tag, tt.image)
			_, err := artifact.Pull(t.Context(), client(t), oci.Credentials{}, at, artifact.MaxBytes)
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, tt.code, tt.says)
		})
	}
}

func emptyImage(t testing.TB) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(made(t, bundle(t, "1"), ""), &v1.ConfigFile{})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	bare := manifest.DeepCopy()
	bare.Layers = nil
	return withManifest{image, bare}
}

func TestPullRefusesWhatARegistryMakesUp(t *testing.T) {
	t.Parallel()
	content := bundle(t, "7")
	for _, tt := range []struct {
		name, on string
		how      http.HandlerFunc
		most     int64
		code     oci.Code
		says     string
	}{
		{"a bundle above the bound", "/nothing", nil, int64(len(content)) - 1, oci.TooLarge, "want at most"},
		{"other bytes of the same length", "/blobs/", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), len(content)))
		}, artifact.MaxBytes, oci.DigestMismatch, "got bytes with digest"},
		{"fewer bytes", "/blobs/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content[:9]) }, artifact.MaxBytes, oci.DigestMismatch, "got 9 bytes"},
		{"bytes without end", "/blobs/", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, artifact.MaxBytes, oci.DigestMismatch, "got more than"},
		{"another manifest", "/manifests/", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"schemaVersion":2}`)
		}, artifact.MaxBytes, oci.DigestMismatch, "got bytes with digest"},
		{"an error", "/blobs/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, artifact.MaxBytes, oci.Unreachable, "got status 500"},
		{"nothing", "/manifests/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, artifact.MaxBytes, oci.NotFound, "got status 404"},
		{"a redirect to the metadata service", "/blobs/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusTemporaryRedirect)
		}, artifact.MaxBytes, oci.ForbiddenHost, "169.254.169.254"},
		{"a redirect without end", "/blobs/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, artifact.MaxBytes, oci.Malformed, "redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			at := pushed(t, h, "/policies/prod:latest", made(t, content, "7"))
			h.on(tt.on, tt.how)
			_, err := artifact.Pull(t.Context(), client(t), oci.Credentials{}, at, tt.most)
			refused(t, err, tt.code, tt.says)
		})
	}
}

// TestPullEndsWithItsDeadline: a registry that says nothing more holds up nobody for longer.
func TestPullEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	at := pushed(t, h, "/policies/prod:latest", made(t, bundle(t, "7"), "7"))
	ctx, cancel := context.WithCancel(t.Context())
	h.on("/blobs/", func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := artifact.Pull(ctx, client(t), oci.Credentials{}, at, artifact.MaxBytes)
	refused(t, err, oci.Timeout, "got no answer in time")
}

func TestCheckRefusesABrokenChain(t *testing.T) {
	t.Parallel()
	content, other := bundle(t, "7"), bundle(t, "8")
	image := made(t, content, "7")
	manifest, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.Check(digest.String(), manifest, content); err != nil {
		t.Fatal(err)
	}
	refused(t, artifact.Check("sha256:"+strings.Repeat("0", 64), manifest, content), oci.DigestMismatch, "manifest: got bytes")
	refused(t, artifact.Check(digest.String(), append(manifest, ' '), content), oci.DigestMismatch, "manifest: got bytes")
	refused(t, artifact.Check(digest.String(), manifest, bytes.Repeat([]byte("x"), len(content))), oci.DigestMismatch, "bundle: got")
	if err := artifact.Check(digest.String(), manifest, other); err == nil {
		t.Error("got another bundle, want it refused")
	}
}

func FuzzLayer(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:00"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":4,"digest":"sha256:` + strings.Repeat("0", 64) + `"}]}`))
	f.Add([]byte(`{"manifests":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		const most = 1000
		if d, err := artifact.Layer("manifest", text, most); err == nil && (d.Size < 0 || d.Size > most || d.Check("layer", most) != nil) {
			t.Errorf("got %+v, want none that must not be followed", d)
		}
	})
}
