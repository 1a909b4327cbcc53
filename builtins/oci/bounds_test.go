package oci_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

func TestRefuseTooManyLayersBeforeFetchingOne(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for n, want := range map[int]error{oci.MaxLayers: nil, oci.MaxLayers + 1: oci.TooLarge, 1000: oci.TooLarge} {
		repo := fmt.Sprintf("org/app%d", n)
		ref, _ := f.image(t, repo, "v1")
		layers := make([]desc, n)
		for i := range layers {
			layers[i] = f.push(t, repo, simpleType, fmt.Append(nil, i))
		}
		f.attach(t, ref, ".sig", layers...)
		f.requests()
		c := newClient(t)
		if want == nil {
			if l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil || len(l.Layers) != n {
				t.Errorf("got %d layers and error %v, want %d", len(l.Layers), err, n)
			}
			continue
		}
		refused(t, c, ref, oci.TooLarge, fmt.Sprint(n), "50")
		if got := count(f.requests(), "/blobs/"); got != 0 {
			t.Errorf("got %d blobs fetched, want 0", got)
		}
	}
}

func TestRefuseTooManyReferrersBeforeFetchingOne(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]oci.Code{oci.MaxLayers + 1: oci.TooLarge, 10_000: oci.TooLarge, 100_000: oci.TooLarge} {
		f := newFake(t)
		ref, _ := f.image(t, "org/app", "v1")
		all := make([]desc, n)
		for i := range all {
			all[i] = describe(imageType, fmt.Append(nil, i))
			all[i].ArtifactType = bundleType
		}
		f.on("/referrers/", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, all...) })
		_, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
		mustRefuse(t, err, want)
		if got := f.requests(); len(got) != 2 {
			t.Errorf("got requests %q, want ping and referrers", got)
		}
	}
}

func TestRefuseTooManyBundlesInFewReferrers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	layers := make([]desc, oci.MaxLayers+1)
	for i := range layers {
		layers[i] = describe(bundleType, fmt.Append(nil, i))
	}
	f.tag(t, "org/app", "", man{SchemaVersion: 2, MediaType: imageType, ArtifactType: bundleType, Config: &desc{MediaType: emptyType}, Layers: layers, Subject: &subject})
	_, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	mustRefuse(t, err, oci.TooLarge)
	if got := count(f.requests(), "/blobs/"); got != 0 {
		t.Errorf("got %d blobs fetched, want 0", got)
	}
}

func TestRefuseEndlessPagesOfReferrers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	f.on("/referrers/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<"+r.URL.Path+"?last="+r.URL.Query().Get("last")+`x>; rel="next"`)
		writeIndex(w)
	})
	_, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	mustRefuse(t, err, oci.TooLarge, "pages")
	if got := f.requests(); len(got) != 9 {
		t.Errorf("got %d requests, want a ping and 8 pages", len(got))
	}
}

func TestPagesOfReferrersStayAtTheRegistry(t *testing.T) {
	t.Parallel()
	other := newFake(t)
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	f.on("/referrers/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			w.Header().Set("Link", "<"+other.URL+`/v2/x?last=x>; rel="next"`)
		}
		writeIndex(w)
	})
	if _, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{}); err != nil {
		t.Fatal(err)
	}
	if got := other.requests(); len(got) != 0 {
		t.Errorf("got requests %q at another host, want none", got)
	}
}

// TestRefuseDescriptor: what a descriptor says is judged before its blob is asked for.
func TestRefuseDescriptor(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct {
		layers []desc
		want   oci.Code
	}{
		"negative size":             {[]desc{{Digest: "sha256:" + hex, Size: -1}}, oci.Malformed},
		"larger than a blob may be": {[]desc{{Digest: "sha256:" + hex, Size: 1001}}, oci.TooLarge},
		"larger than int64 holds":   {[]desc{{Digest: "sha256:" + hex, Size: 1<<63 - 1}, {Digest: "sha256:" + hex, Size: 1<<63 - 1}}, oci.TooLarge},
		"sha512":                    {[]desc{{Digest: "sha512:" + hex + hex}}, oci.Malformed},
		"sha1":                      {[]desc{{Digest: "sha1:" + hex[:40]}}, oci.Malformed},
		"short sha256":              {[]desc{{Digest: "sha256:" + hex[2:]}}, oci.Malformed},
		"upper-case sha256":         {[]desc{{Digest: "sha256:" + strings.ToUpper(hex)}}, oci.Malformed},
		"path in place of digest":   {[]desc{{Digest: "sha256:../../../other/blobs/sha256:" + hex}}, oci.Malformed},
		"no digest":                 {[]desc{{}}, oci.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, _ := f.image(t, "org/app", "v1")
			f.attach(t, ref, ".sig", tc.layers...)
			f.attach(t, ref, "", tc.layers...)
			refusedLayers(t, newClient(t, oci.WithMaxBlob(1000), oci.WithMaxEvidence(1500)), ref, tc.want)
			if got := count(f.requests(), "/blobs/"); got != 0 {
				t.Errorf("got %d blobs fetched, want 0", got)
			}
		})
	}
}

func TestRefuseReferrerDescriptor(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	for want, d := range map[oci.Code]desc{
		oci.Malformed: {MediaType: imageType, Digest: "sha512:" + strings.Repeat("ab", 64)},
		oci.TooLarge:  {MediaType: imageType, Digest: "sha256:" + strings.Repeat("ab", 32), Size: 1 << 30},
		oci.NotFound:  {MediaType: imageType, Digest: "sha256:" + strings.Repeat("ab", 32), Size: 1},
	} {
		f.on("/referrers/", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, d) })
		l, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
		if err != nil || len(l.Layers) != 1 {
			t.Fatalf("got %d layers and error %v, want one with an error", len(l.Layers), err)
		}
		mustRefuseLayer(t, l.Layers[0], want)
	}
}

func TestRefuseBlobOfAnotherSizeThanItsDescriptor(t *testing.T) {
	t.Parallel()
	for _, off := range []int64{-1, 1} {
		for _, chunked := range []bool{false, true} {
			f := newFake(t)
			ref, layer := f.signed(t, "org/app")
			layer.Size += off
			f.attach(t, ref, ".sig", layer)
			if chunked {
				f.on("/blobs/", func(w http.ResponseWriter, _ *http.Request) {
					w.(http.Flusher).Flush()
					_, _ = w.Write([]byte("payload of org/app"))
				})
			}
			refusedLayers(t, newClient(t), ref, oci.DigestMismatch, fmt.Sprint(layer.Size))
		}
	}
}

func TestRefuseIndexInPlaceOfSignatures(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, d := f.image(t, "org/app", "v1")
	f.tag(t, "org/app", strings.Replace(d.Digest, ":", "-", 1)+".sig", man{SchemaVersion: 2, MediaType: indexType, Manifests: []desc{d}})
	refused(t, newClient(t), ref, oci.Malformed, "index")
}

func TestRefuseImageInPlaceOfReferrers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	f.on("/referrers/", status(http.StatusNotFound))
	f.attach(t, ref, "", describe(bundleType, []byte("x")))
	_, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	mustRefuse(t, err, oci.Malformed, "index")
}
