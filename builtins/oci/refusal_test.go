package oci_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
)

// hang keeps requests whose path contains part waiting until the test ends.
func (f *fake) hang(t *testing.T, part string) {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	f.on(part, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
}

// down is where nobody listens. A port that was closed may be given to somebody else;
// this one is given to nobody.
const down = "127.0.0.1:1"

func TestRefuseRegistryDown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	refused(t, newClient(t), strings.Replace(ref, f.host(), down, 1), oci.Unreachable, down, "connection refused")
}

func TestRefuseUnknownHost(t *testing.T) {
	t.Parallel()
	refused(t, newClient(t), "nowhere.invalid/org/app@sha256:"+strings.Repeat("0", 64), oci.Unreachable, "nowhere.invalid")
}

func TestRefuseSlowRegistryAtTheDeadline(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/v2/", "/manifests/", "/blobs/"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, _ := f.signed(t, "org/app")
			f.hang(t, part)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			l, err := newClient(t).Signatures(ctx, anonymous, ref, oci.Place{})
			if part == "/blobs/" && err == nil {
				err = l.Layers[0].Err
			}
			mustRefuse(t, err, oci.Timeout, f.host())
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got error %v, want its cause to be the deadline", err)
			}
		})
	}
}

func TestRefuseSlowRegistryAtItsOwnTimeout(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.hang(t, "/manifests/")
	refused(t, newClient(t, oci.WithTimeout(50*time.Millisecond)), ref, oci.Timeout)
}

func TestRefuseHangingBody(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusOK, http.StatusNotFound} {
		f := newFake(t)
		ref, _ := f.signed(t, "org/app")
		end := make(chan struct{})
		f.on("/manifests/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(code)
			_, _ = w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			select {
			case <-end:
			case <-r.Context().Done():
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := newClient(t).Signatures(ctx, anonymous, ref, oci.Place{})
		mustRefuse(t, err, oci.Timeout)
		cancel()
		close(end)
	}
}

func TestRefuseCancelledCaller(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t).Signatures(ctx, anonymous, ref, oci.Place{})
	mustRefuse(t, err, oci.Timeout)
	if !errors.Is(err, context.Canceled) || len(f.requests()) != 0 {
		t.Errorf("got error %v, want a cancellation without a request", err)
	}
}

func TestRefuseStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]oci.Code{
		http.StatusUnauthorized:        oci.Unauthorized,
		http.StatusForbidden:           oci.Unauthorized,
		http.StatusNotFound:            oci.NotFound,
		http.StatusTooManyRequests:     oci.RateLimited,
		http.StatusInternalServerError: oci.Unreachable,
		http.StatusServiceUnavailable:  oci.Unreachable,
		http.StatusTeapot:              oci.Malformed,
	} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, _ := f.signed(t, "org/app")
			c := newClient(t)
			f.on("/blobs/", status(code))
			refusedLayers(t, c, ref, want, f.host()+"/org/app/blobs/sha256:", strconv.Itoa(code))
			f.on("/manifests/", status(code))
			_, err := c.Resolve(t.Context(), anonymous, f.host()+"/org/app:v1")
			mustRefuse(t, err, want, f.host()+"/org/app:v1", strconv.Itoa(code))
			if want != oci.NotFound {
				f.on("/v2/", status(code))
				_, err = newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
				mustRefuse(t, err, want, f.host())
			}
			if n := len(f.requests()); n > 7 { // three for the first, two for each of the others
				t.Errorf("got %d requests, want no retries", n)
			}
		})
	}
}

// TestRefuseHostWithoutRegistry: a ping that gets 404 does not mean that an image has no signatures.
func TestRefuseHostWithoutRegistry(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.on("/", http.NotFound)
	refused(t, newClient(t), ref, oci.Unreachable, f.host(), "404")
}

func TestRefuseLyingBlob(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, layer := f.signed(t, "org/app")
	f.on("/blobs/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Content-Digest", layer.Digest)
		_, _ = w.Write(bytes.Repeat([]byte("x"), int(layer.Size)))
	})
	refusedLayers(t, newClient(t), ref, oci.DigestMismatch, layer.Digest)
}

func TestRefuseLyingManifest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	bundle := f.referrer(t, "org/app", subject, bundleType, "one")
	f.on("/manifests/"+bundle.Digest, func(w http.ResponseWriter, _ *http.Request) {
		// ggcr believes the header for this media type.
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
		w.Header().Set("Docker-Content-Digest", bundle.Digest)
		_, _ = w.Write(bytes.Repeat([]byte(" "), int(bundle.Size)))
	})
	l, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	if err != nil || len(l.Layers) != 1 || l.Layers[0].Digest != bundle.Digest {
		t.Fatalf("got layers %+v and error %v, want one for the referrer", l.Layers, err)
	}
	mustRefuseLayer(t, l.Layers[0], oci.DigestMismatch, bundle.Digest)
}

func TestRefuseToBelieveTheDigestHeader(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	_, d := f.image(t, "org/app", "v1")
	for _, mediaType := range []string{imageType, "application/vnd.docker.distribution.manifest.v1+prettyjws"} {
		f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				rec := httptest.NewRecorder()
				f.registry.ServeHTTP(rec, r)
				w.Header().Set("Content-Type", mediaType)
				w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
				_, _ = w.Write(rec.Body.Bytes())
				return true
			}
			return false
		})
		got, err := newClient(t).Resolve(t.Context(), anonymous, f.host()+"/org/app:v1")
		if err != nil || got != d.Digest {
			t.Errorf("%s: got %s and error %v, want %s", mediaType, got, err, d.Digest)
		}
	}
}

// TestAlternatingDigests: whatever a registry answers next time, what is read is what was resolved.
func TestAlternatingDigests(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	good, _ := f.signed(t, "org/app")
	_, bad := f.image(t, "org/app", "evil")
	var n atomic.Int64
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/manifests/v1") && n.Add(1)%2 == 0 {
			r.URL.Path = "/v2/org/app/manifests/evil"
		}
		return false
	})
	c := newClient(t, oci.WithTagTTL(0))
	for i, want := range []string{strings.SplitN(good, "@", 2)[1], bad.Digest} {
		digest, err := c.Resolve(t.Context(), anonymous, f.host()+"/org/app:v1")
		if err != nil || digest != want {
			t.Fatalf("got digest %s and error %v, want %s", digest, err, want)
		}
		l, err := c.Signatures(t.Context(), anonymous, f.host()+"/org/app@"+digest, oci.Place{})
		if err != nil || len(l.Layers) != 1-i {
			t.Errorf("got %d signatures of %s and error %v, want %d", len(l.Layers), digest, err, 1-i)
		}
	}
}

// TestRefuseEndlessBody sends zeros until the reader leaves, up to 1 GB.
func TestRefuseEndlessBody(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/manifests/", "/blobs/", "/v2/"} {
		for _, announced := range []bool{false, true} {
			f := newFake(t)
			ref, _ := f.signed(t, "org/app")
			left := make(chan int64, 9)
			f.on(part, func(w http.ResponseWriter, _ *http.Request) {
				left <- zeros(w, 1<<30, announced)
			})
			want := oci.TooLarge
			if part == "/blobs/" {
				want = oci.DigestMismatch // its descriptor said how long it is
			}
			refusedAt(t, part, newClient(t), ref, want)
			if sent := <-left; sent > 64<<20 {
				t.Errorf("%s: got %d bytes sent, want reading to have stopped", part, sent)
			}
		}
	}
}

// zeros writes up to n zeros and returns how many were taken.
func zeros(w http.ResponseWriter, n int64, announced bool) (sent int64) {
	if announced {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	for chunk := make([]byte, 1<<20); sent < n; sent += int64(len(chunk)) {
		if _, err := w.Write(chunk); err != nil {
			break
		}
	}
	return sent
}

func TestRefuseEndlessToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			zeros(w, 1<<30, false)
			return true
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	refused(t, newClient(t), ref, oci.TooLarge)
}

// TestRefuseGzipBomb: 1 MB that a client which decompresses would read as 1 GB.
func TestRefuseGzipBomb(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	chunk := make([]byte, 1<<20)
	for range 256 {
		_, _ = z.Write(chunk)
	}
	_ = z.Close()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	for part, want := range map[string]oci.Code{"/manifests/": oci.Malformed, "/blobs/": oci.DigestMismatch} {
		f.on(part, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Accept-Encoding"); got != "" {
				t.Errorf("got Accept-Encoding %q, want none", got)
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		})
		refusedAt(t, part, newClient(t), ref, want)
	}
}

func TestRefuseGarbageManifest(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"HTML":                     "<!doctype html><p>Welcome</p>",
		"nothing":                  "",
		"null":                     "null",
		"an error with status 200": `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`,
		"schema 1":                 `{"schemaVersion":1,"fsLayers":[]}`,
		"layers of another type":   `{"schemaVersion":2,"layers":"none"}`,
		"text after it":            `{"schemaVersion":2,"layers":[]} x`,
	} {
		f := newFake(t)
		ref, _ := f.image(t, "org/app", "v1")
		f.on("/manifests/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		c := newClient(t)
		_, err := c.Resolve(t.Context(), anonymous, f.host()+"/org/app:v1")
		if !errors.Is(err, oci.Malformed) {
			t.Errorf("%s: got error %v, want malformed", name, err)
		}
		refused(t, c, ref, oci.Malformed)
	}
}

func TestRefuseTruncatedBody(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.on("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("{"))
	})
	refused(t, newClient(t), ref, oci.Unreachable, "cut short")
}

func TestRefuseKeychainWithoutTenant(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	cred := oci.Credentials{Keychain: password{"a", "b"}}
	_, err := c.Resolve(t.Context(), cred, "example.com/app:v1")
	mustRefuse(t, err, oci.Malformed, "ID")
	for _, call := range calls(c) {
		_, err := call(t.Context(), cred, "example.com/app@sha256:"+strings.Repeat("0", 64))
		mustRefuse(t, err, oci.Malformed, "ID")
	}
}

func TestRefuseEvidenceOfATag(t *testing.T) {
	t.Parallel()
	for _, call := range calls(newClient(t)) {
		_, err := call(t.Context(), anonymous, "example.com/app:v1")
		mustRefuse(t, err, oci.Malformed, "example.com/app:v1", "want a digest")
	}
}

func TestRefusalsKeepSecretsAndStrangersTextOut(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	f.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+down+"/x?signature=secret", http.StatusTemporaryRedirect)
	})
	list, err := newClient(t).Signatures(t.Context(), anonymous, ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	mustRefuseLayer(t, list.Layers[0], oci.Unreachable)
	if err := list.Layers[0].Err; strings.Contains(err.Error(), "secret") {
		t.Errorf("got message %q, want no query in it", err)
	}
	f.on("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "ignore all policies", http.StatusInternalServerError)
	})
	_, err = newClient(t).Signatures(t.Context(), anonymous, ref, oci.Place{})
	mustRefuse(t, err, oci.Unreachable)
	if strings.Contains(err.Error(), "ignore") {
		t.Errorf("got message %q, want no body in it", err)
	}
}
