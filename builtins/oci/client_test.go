package oci_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/assay-dev/assay/builtins/oci"
)

func TestSignaturesAreReadFromTheTagOfTheDigest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, layer := f.signed(t, "org/app")
	got, err := newClient(t).Signatures(t.Context(), anonymous, ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	want := oci.List{
		Digest: got.Digest,
		Layers: []oci.Layer{{MediaType: simpleType, Digest: layer.Digest, Annotations: layer.Annotations, Content: []byte("payload of org/app")}},
		Where:  []string{strings.Replace(ref, "@sha256:", ":sha256-", 1) + ".sig"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(got.Digest, "sha256:") {
		t.Errorf("got evidence digest %q, want sha256:…", got.Digest)
	}
}

func TestAttestationsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	var layers []desc
	for _, s := range []string{"c", "a", "b"} {
		layers = append(layers, f.push(t, "org/app", "application/vnd.dsse.envelope.v1+json", []byte(s)))
	}
	f.attach(t, ref, ".att", layers...)
	got, err := newClient(t).Attestations(t.Context(), anonymous, ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, l := range got.Layers {
		text += string(l.Content)
	}
	if text != "cab" {
		t.Errorf("got layers %q, want cab", text)
	}
}

func TestMissingEvidenceIsAnEmptyList(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	for name, call := range calls(newClient(t)) {
		got, err := call(t.Context(), anonymous, ref)
		if err != nil || len(got.Layers) != 0 || len(got.Where) == 0 || got.Digest == "" {
			t.Errorf("%s: got %+v and error %v, want an empty list that says where it looked", name, got, err)
		}
	}
}

func TestBundlesComeFromTheReferrersAPI(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	f.referrer(t, "org/app", subject, bundleType, "one")
	f.referrer(t, "org/app", subject, "application/vnd.dev.sigstore.bundle+json;version=0.2", "two")
	f.referrer(t, "org/app", subject, "application/spdx+json", "an SBOM")
	got, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for _, l := range got.Layers {
		texts[string(l.Content)] = true
	}
	if diff := cmp.Diff(map[string]bool{"one": true, "two": true}, texts); diff != "" {
		t.Errorf("bundles (-want +got):\n%s", diff)
	}
}

func TestBundlesComeFromTheFallbackTag(t *testing.T) {
	t.Parallel()
	f := newFake(t, registry.WithReferrersSupport(false))
	ref, subject := f.image(t, "org/app", "v1")
	bundle := f.referrer(t, "org/app", subject, bundleType, "one")
	sbom := f.referrer(t, "org/app", subject, "application/spdx+json", "an SBOM")
	f.tag(t, "org/app", strings.Replace(subject.Digest, ":", "-", 1), man{SchemaVersion: 2, MediaType: indexType, Manifests: []desc{sbom, bundle}})
	got, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Layers) != 1 || string(got.Layers[0].Content) != "one" {
		t.Errorf("got layers %v, want one bundle", got.Layers)
	}
	if n := count(f.requests(), sbom.Digest); n != 0 {
		t.Errorf("got %d requests for an SBOM, want 0", n)
	}
	if len(got.Where) != 2 {
		t.Errorf("got places %q, want the API and the tag", got.Where)
	}
}

func TestPagesOfReferrersAreFollowed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	first := f.referrer(t, "org/app", subject, bundleType, "one")
	second := f.referrer(t, "org/app", subject, bundleType, "two")
	f.on("/referrers/", func(w http.ResponseWriter, r *http.Request) {
		page := first
		if r.URL.Query().Get("last") == "x" {
			page = second
		} else {
			w.Header().Set("Link", `<`+r.URL.Path+`?last=x>; rel="next"`)
		}
		writeIndex(w, page)
	})
	got, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	if err != nil || len(got.Layers) != 2 {
		t.Errorf("got %d layers and error %v, want 2", len(got.Layers), err)
	}
}

func TestEvidenceDigestNamesTheEvidence(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	refA, _ := f.signed(t, "org/a")
	refB, layerB := f.signed(t, "org/b")
	none, _ := f.image(t, "org/none", "v1")
	c := newClient(t, oci.WithListTTL(0))
	read := func(ref string) string {
		l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
		if err != nil {
			t.Fatal(err)
		}
		return l.Digest
	}
	a, b, empty := read(refA), read(refB), read(none)
	if a != read(refA) {
		t.Error("got two digests for the same evidence")
	}
	layerB.Annotations = map[string]string{"dev.cosignproject.cosign/signature": "b3RoZXI="}
	f.attach(t, refB, ".sig", layerB)
	if changed := read(refB); a == b || a == empty || b == changed {
		t.Errorf("got digests %s, %s, %s, %s: want all different", a, b, empty, changed)
	}
}

func TestBundleOrderDoesNotChangeTheEvidenceDigest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	one := f.referrer(t, "org/app", subject, bundleType, "one")
	two := f.referrer(t, "org/app", subject, bundleType, "two")
	c := newClient(t, oci.WithListTTL(0))
	var got []oci.List
	for _, order := range [][]desc{{one, two}, {two, one, one}} {
		f.on("/referrers/", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, order...) })
		l, err := c.Bundles(t.Context(), anonymous, ref, oci.Place{})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("lists differ:\n%s", diff)
	}
}

func TestCallersMayWriteToTheirAnnotations(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	c := newClient(t)
	for range 2 {
		l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Layers[0].Annotations) != 1 {
			t.Errorf("got annotations %v, want those of the registry", l.Layers[0].Annotations)
		}
		l.Layers[0].Annotations["mine"] = "x"
		l.Layers[0].MediaType = "mine"
	}
}

func TestResolveHashesTheBytes(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	_, d := f.image(t, "org/app", "v1")
	got, err := newClient(t).Resolve(t.Context(), anonymous, f.host()+"/org/app:v1")
	if err != nil || got != d.Digest {
		t.Errorf("got %s and error %v, want %s", got, err, d.Digest)
	}
}

// MUT-3: a digest needs no request.
func TestResolveOfADigestNeedsNoRequest(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, d := f.image(t, "org/app", "v1")
	got, err := newClient(t).Resolve(t.Context(), anonymous, strings.Replace(ref, "@", ":v1@", 1))
	if err != nil || got != d.Digest || len(f.requests()) != 0 {
		t.Errorf("got %s and error %v, want %s without a request", got, err, d.Digest)
	}
}

// TestNoFetchFollowsItsFirstCaller cancels the first of ten callers: the others get the answer.
func TestNoFetchFollowsItsFirstCaller(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.signed(t, "org/app")
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.misbehave(func(http.ResponseWriter, *http.Request) bool {
		once.Do(func() { close(arrived) })
		<-goOn
		return false
	})
	c := newClient(t)
	first, cancel := context.WithCancel(t.Context())
	firstErr := make(chan error, 1)
	go func() {
		_, err := c.Signatures(first, anonymous, ref, oci.Place{})
		firstErr <- err
	}()
	<-arrived
	others := make(chan error, 9)
	for range 9 {
		go func() {
			_, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
			others <- err
		}()
	}
	cancel()
	mustRefuse(t, <-firstErr, oci.Timeout)
	close(goOn)
	for range 9 {
		if err := <-others; err != nil {
			t.Errorf("got error %v, want the list", err)
		}
	}
	if got := f.requests(); len(got) != 3 {
		t.Errorf("got requests %q, want one ping, manifest and blob", got)
	}
}

func TestConcurrencyIsBoundedPerRegistry(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	const most = 3
	var mu sync.Mutex
	var now, peak int
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		now++
		peak = max(peak, now)
		mu.Unlock()
		f.registry.ServeHTTP(w, r)
		mu.Lock()
		now--
		mu.Unlock()
		return true
	})
	ref, _ := f.image(t, "org/app", "v1")
	var layers []desc
	for i := range 40 {
		layers = append(layers, f.push(t, "org/app", simpleType, []byte(strings.Repeat("x", i))))
	}
	f.attach(t, ref, ".sig", layers...)
	if _, err := newClient(t, oci.WithConcurrency(most)).Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil {
		t.Fatal(err)
	}
	if peak > most {
		t.Errorf("got %d requests at once, want at most %d", peak, most)
	}
}

func TestNewRefusesBoundsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]oci.Option{
		"blob": oci.WithMaxBlob(0), "manifest": oci.WithMaxManifest(-1), "evidence": oci.WithMaxEvidence(0),
		"in flight":   oci.WithMaxInFlight(0),
		"concurrency": oci.WithConcurrency(0), "timeout": oci.WithTimeout(-time.Second),
	} {
		if _, err := oci.New(opt); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v, want one that names it", name, err)
		}
	}
}
