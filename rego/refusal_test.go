package rego_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
)

// TestRegistryRefusals: what a registry can do wrong, through the whole engine.
// Each is a denial in time that names its code and the registry or the image.
func TestRegistryRefusals(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	for _, tt := range []struct {
		name, code, text string
		handle           func(http.Handler) http.HandlerFunc
	}{
		{"registry answers 500", "unreachable", "got status 500", status(http.StatusInternalServerError)},
		{"registry wants fewer requests", "rate_limited", "got status 429", status(http.StatusTooManyRequests)},
		{"registry wants other credentials", "unauthorized", "got status 403", status(http.StatusForbidden)},
		{"registry lies about a digest", "digest_mismatch", "got bytes with digest", lies},
		{"registry sends 1 GB", "too_large", "want at most", onManifests(endless)},
		{"registry sends 1 GB for a layer", "digest_mismatch", "bytes", onBlobs(endless)},
		{"registry sends no JSON", "malformed", "", onManifests(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })},
		{"registry redirects to the metadata service", "forbidden_host", "169.254.169.254", onManifests(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		})},
		{"registry redirects in circles", "malformed", "redirects", onManifests(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{})
			refused(t, r, front(t, w, tt.handle)(byDigest(t, w, "app")), tt.code, tt.text)
		})
	}
}

func TestRegistryDownIsDenied(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	// A port that was closed may be given to somebody else; this one is given to nobody.
	image := strings.ReplaceAll(byDigest(t, w, "app"), w.Registry(), "127.0.0.1:1")
	refused(t, open(t, w, setup{}), image, "unreachable", "connection refused")
}

func TestForbiddenAddressIsDenied(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{})
	for _, host := range []string{"169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0:80"} {
		refused(t, r, strings.ReplaceAll(byDigest(t, w, "app"), w.Registry(), host), "forbidden_host", "never dialled")
	}
}

func refused(t *testing.T, r *rig, image, code, text string) {
	t.Helper()
	d := withinOr(t, r, 5*time.Second, func(d rego.Decision) bool { return code != "timeout" && lateReason(d) }, pod(image))
	if got := codes(d); d.Allowed || !slices.Equal(got, []string{code}) {
		t.Errorf("got allowed %t and codes %v, want denied for %s\n%s", d.Allowed, got, code, encode(t, d))
	}
	if got := strings.Join(d.Reasons, "\n"); !strings.Contains(got, text) || !strings.Contains(got, image) {
		t.Errorf("got %s\nwant the image and %q in it", got, text)
	}
}

func status(code int) func(http.Handler) http.HandlerFunc {
	return onManifests(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// onManifests and onBlobs misbehave where the path says so.
func onManifests(f http.HandlerFunc) func(http.Handler) http.HandlerFunc { return on("/manifests/", f) }
func onBlobs(f http.HandlerFunc) func(http.Handler) http.HandlerFunc     { return on("/blobs/", f) }

func on(part string, f http.HandlerFunc) func(http.Handler) http.HandlerFunc {
	return func(inner http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, part) {
				f(w, r)
				return
			}
			inner.ServeHTTP(w, r)
		}
	}
}

// lies sends blobs with one wrong byte, of the right size and digest by header.
func lies(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if strings.Contains(r.URL.Path, "/blobs/") {
			body[len(body)-1] ^= 1
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}
}

// endless would send for ever; a gigabyte is what it gets to.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 1 << 10 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// alternating answers each reading of the tag with the next image's manifest.
type alternating struct {
	tag     string
	digests []string
	reads   int
}

func (a *alternating) handle(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutSuffix(r.URL.Path, "/manifests/"+a.tag); ok {
			digest := a.digests[min(a.reads, len(a.digests)-1)]
			a.reads++
			r.URL.Path = name + "/manifests/" + digest
		}
		inner.ServeHTTP(w, r)
	}
}

// twoVersions is a world with a signed and an unsigned image in one repository.
func twoVersions(t *testing.T) (w *world.World, signed, unsigned string) {
	t.Helper()
	w = openWorld(t, `images:
  app: {repository: acme/app, tag: v1, signatures: [{signer: release}]}
  evil: {repository: acme/app, tag: v2}
`)
	_, signed, _ = w.Image("app")
	_, unsigned, _ = w.Image("evil")
	return w, signed, unsigned
}

// MUT-5: a tag is read once in a decision, and what
// is put into the object is the digest that was verified.
func TestRegistryThatAlternatesDigests(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Pod", "Deployment"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, signed, unsigned := twoVersions(t)
			a := &alternating{tag: "v1", digests: []string{signed, unsigned}}
			image := front(t, w, a.handle)(byTag(t, w, "app"))
			r := open(t, w, setup{config: rego.Config{Tags: "resolve"}})
			spec := map[string]any{"containers": []any{map[string]any{"image": image}, map[string]any{"image": image}}}
			request, path := pod(image, image), "/spec"
			if kind == "Deployment" {
				request, path = review("apps", kind, map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}}), "/spec/template/spec"
			}
			d, err := r.Decide(t.Context(), request)
			if err != nil || !d.Allowed {
				t.Fatalf("got %s and %v", encode(t, d), err)
			}
			if a.reads != 1 {
				t.Errorf("got %d readings of the tag, want 1", a.reads)
			}
			for i, operation := range d.Patch {
				want := rego.PatchOperation{Op: "replace", Path: path + "/containers/" + string(rune('0'+i)) + "/image", Value: image + "@" + signed}
				if operation != want {
					t.Errorf("got %+v, want %+v", operation, want)
				}
			}
			if len(d.Patch) != 2 {
				t.Errorf("got %d operations, want 2", len(d.Patch))
			}
		})
	}
}

// TestTagMovedAfterWarmAdmission: the new digest is verified, not the old verdict reused.
func TestTagMovedAfterWarmAdmission(t *testing.T) {
	t.Parallel()
	w, signed, unsigned := twoVersions(t)
	a := &alternating{tag: "v1", digests: []string{signed, unsigned}}
	image := front(t, w, a.handle)(byTag(t, w, "app"))
	clock := newClock()
	r := open(t, w, setup{clock: clock, config: rego.Config{Tags: "resolve"}})
	if d := r.decide(t, image); !d.Allowed || d.Images[0].Digest != signed {
		t.Fatalf("got %s", encode(t, d))
	}
	clock.Advance(1100 * time.Millisecond) // as long as a tag serves
	if d := r.decide(t, image); d.Allowed || d.Images[0].Digest != unsigned {
		t.Errorf("got %s, want the new digest denied", encode(t, d))
	}
}

// TestRegistryThatLiesInItsDigestHeader: the digest of a tag is computed from the bytes.
func TestRegistryThatLiesInItsDigestHeader(t *testing.T) {
	t.Parallel()
	w, signed, unsigned := twoVersions(t)
	image := front(t, w, func(inner http.Handler) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) { inner.ServeHTTP(&liar{out, signed}, r) }
	})(byTag(t, w, "evil"))
	r := open(t, w, setup{config: rego.Config{Tags: "resolve"}})
	if d := r.decide(t, image); d.Allowed || d.Images[0].Digest != unsigned {
		t.Errorf("got %s, want %s denied", encode(t, d), unsigned)
	}
}

type liar struct {
	http.ResponseWriter
	digest string
}

func (l *liar) WriteHeader(status int) {
	l.Header().Set("Docker-Content-Digest", l.digest)
	l.ResponseWriter.WriteHeader(status)
}

// TestPolicyWithoutAuthoritiesIsDenied (COMB-5): an installation may admit such a policy.
// It is one that nothing satisfies, and not one that asks for nothing.
func TestPolicyWithoutAuthoritiesIsDenied(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{
		policies: `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: empty}, spec: {images: [{glob: "**"}]}}`,
		settings: cip.Settings{EmptyAuthorities: true},
	})
	if d := r.decide(t, byDigest(t, w, "app")); d.Allowed || !strings.Contains(strings.Join(d.Reasons, "\n"), "failed policy: empty") {
		t.Errorf("got %s, want it denied by the policy", encode(t, d))
	}
}
