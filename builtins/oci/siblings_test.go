package oci_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
)

// outcome is a list in short: the content of each layer, or the code of its error.
func outcome(l oci.List) []string {
	var out []string
	for _, layer := range l.Layers {
		if layer.Err != nil {
			out = append(out, string(layer.Err.Code))
			continue
		}
		out = append(out, string(layer.Content))
	}
	return out
}

func mustBe(t *testing.T, l oci.List, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, outcome(l)); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
	for _, layer := range l.Layers {
		if layer.Err != nil && (layer.Content != nil || layer.Digest == "") {
			t.Errorf("got layer %+v, want a digest and no content beside an error", layer)
		}
	}
}

func TestABrokenLayerDoesNotCostAGoodSignature(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct {
		bad  desc
		want oci.Code
	}{
		"missing":              {desc{Digest: "sha256:" + hex, Size: 1}, oci.NotFound},
		"too large":            {desc{Digest: "sha256:" + hex, Size: 1001}, oci.TooLarge},
		"of a foreign digest":  {desc{Digest: "sha512:" + hex + hex, Size: 1}, oci.Malformed},
		"of a negative size":   {desc{Digest: "sha256:" + hex, Size: -1}, oci.Malformed},
		"of bytes that lie":    {describe(simpleType, []byte("lie")), oci.DigestMismatch},
		"at a broken registry": {describe(simpleType, []byte("broken")), oci.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, _ := f.image(t, "org/app", "v1")
			f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, describe("", []byte("lie")).Digest):
					_, _ = w.Write([]byte("eil"))
				case strings.HasSuffix(r.URL.Path, describe("", []byte("broken")).Digest):
					w.WriteHeader(http.StatusBadGateway)
				default:
					return false
				}
				return true
			})
			good := f.push(t, "org/app", simpleType, []byte("good"))
			f.attach(t, ref, ".sig", tc.bad, good, tc.bad)
			l, err := newClient(t, oci.WithMaxBlob(1000)).Signatures(t.Context(), anonymous, ref, oci.Place{})
			mustBe(t, l, err, string(tc.want), "good", string(tc.want))
		})
	}
}

// TestLayersBeyondTheSumAreRefusedInManifestOrder: one that does not fit makes room for those that do.
func TestLayersBeyondTheSumAreRefusedInManifestOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	f.attach(t, ref, ".sig", f.push(t, "org/app", simpleType, []byte("four")), f.push(t, "org/app", simpleType, []byte("seven77")),
		f.push(t, "org/app", simpleType, []byte("five5")), f.push(t, "org/app", simpleType, []byte("3 3")), desc{Digest: "sha256:" + strings.Repeat("a", 64), Size: 1<<63 - 1})
	for range 3 {
		l, err := newClient(t, oci.WithMaxEvidence(9), oci.WithMaxBlob(1<<63-1), oci.WithMaxInFlight(1<<63-1)).Signatures(t.Context(), anonymous, ref, oci.Place{})
		mustBe(t, l, err, "four", "too_large", "five5", "too_large", "too_large")
	}
}

func TestABrokenReferrerDoesNotCostAGoodBundle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		how  http.HandlerFunc
		want oci.Code
	}{
		"missing":      {http.NotFound, oci.NotFound},
		"lying":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("12345")) }, oci.DigestMismatch},
		"garbage":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<p/>.")) }, oci.Malformed},
		"rate limited": {status(http.StatusTooManyRequests), oci.RateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, subject := f.image(t, "org/app", "v1")
			good := f.referrer(t, "org/app", subject, bundleType, "good")
			bad := describe(imageType, []byte("<p/>."))
			f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.Contains(r.URL.Path, "/referrers/"):
					writeIndex(w, bad, good)
				case strings.HasSuffix(r.URL.Path, bad.Digest):
					tc.how(w, r)
				default:
					return false
				}
				return true
			})
			l, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
			want := []string{"good", string(tc.want)}
			at := 1
			if bad.Digest < good.Digest {
				want[0], want[1], at = want[1], want[0], 0
			}
			mustBe(t, l, err, want...)
			if got := l.Layers[at].Digest; got != bad.Digest {
				t.Errorf("got digest %s for the broken referrer, want %s", got, bad.Digest)
			}
		})
	}
}

// TestAReferrerListedWithAnotherSizeDoesNotHideTheRightOne that has the same digest.
func TestAReferrerListedWithAnotherSizeDoesNotHideTheRightOne(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	good := f.referrer(t, "org/app", subject, bundleType, "good")
	lie := good
	lie.Size--
	f.on("/referrers/", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, good, lie) })
	l, err := newClient(t).Bundles(t.Context(), anonymous, ref, oci.Place{})
	mustBe(t, l, err, "digest_mismatch", "good")
}

// TestTheDeadlineCostsOnlyWhatHangs: layers and referrers that did come are returned. The
// time is fake: what comes is there before any is over.
func TestTheDeadlineCostsOnlyWhatHangs(t *testing.T) {
	t.Parallel()
	for name, hanging := range map[string]string{"a blob": "/blobs/", "a referrer": "/manifests/"} {
		for _, cancelled := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " cancelled ", cancelled), func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				synctest.Test(t, func(t *testing.T) { f.costsOnlyWhatHangs(t, hanging, cancelled) })
			})
		}
	}
}

func (f *fake) costsOnlyWhatHangs(t *testing.T, hanging string, cancelled bool) {
	t.Helper()
	ref, subject := f.image(t, "org/app", "v1")
	f.referrer(t, "org/app", subject, bundleType, "good")
	bad := f.referrer(t, "org/app", subject, bundleType, "bad")
	if hanging == "/blobs/" {
		bad = describe("", []byte("bad"))
	}
	f.hang(t, hanging+bad.Digest)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if cancelled && hanging == "/blobs/" {
		time.AfterFunc(500*time.Millisecond, cancel)
	}
	l, err := newClient(t, oci.WithTransport(handed{f, f.host()})).Bundles(ctx, anonymous, ref, oci.Place{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, o := range outcome(l) {
		got[o] = true
	}
	if diff := cmp.Diff(map[string]bool{"good": true, "timeout": true}, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestListsWithErrorsAreHardlyKept(t *testing.T) {
	t.Parallel()
	for code, kept := range map[int]bool{
		http.StatusNotFound: true, http.StatusTeapot: true,
		http.StatusUnauthorized: false, http.StatusTooManyRequests: false, http.StatusBadGateway: false,
	} {
		f := newFake(t)
		ref, _ := f.signed(t, "org/app")
		f.on("/blobs/", status(code))
		now := newClock()
		c := newClient(t, oci.WithClock(now.now))
		manifests := func() int {
			if l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil || l.Layers[0].Err == nil {
				t.Fatalf("got %+v and error %v, want a layer with an error", l, err)
			}
			return count(f.requests(), "/manifests/")
		}
		manifests()
		if got := manifests(); (got == 0) != kept {
			t.Errorf("%d: got %d manifests asked for at once, want kept %t", code, got, kept)
		}
		now.add(2 * time.Second)
		if got := manifests(); got != 1 {
			t.Errorf("%d: got %d manifests asked for after 2 s, want 1", code, got)
		}
		f.misbehave(nil)
		l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
		mustBe(t, l, err, "payload of org/app")
	}
}

func TestEvidenceDigestNamesTheFailures(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	one, two := f.push(t, "org/app", simpleType, []byte("one")), f.push(t, "org/app", simpleType, []byte("two"))
	f.attach(t, ref, ".sig", one, two)
	bundle := f.referrer(t, "org/app", subject, bundleType, "bundle")
	seen := map[string]string{}
	for _, part := range []string{"/none/", "/blobs/" + one.Digest, "/blobs/" + two.Digest, "/blobs/", "/manifests/" + bundle.Digest} {
		for _, code := range []int{http.StatusNotFound, http.StatusBadGateway} {
			f.on(part, status(code))
			c := newClient(t)
			for name, call := range map[string]func(context.Context, oci.Credentials, string, oci.Place) (oci.List, error){"signatures": c.Signatures, "bundles": c.Bundles} {
				l, err := call(t.Context(), anonymous, ref, oci.Place{})
				if err != nil {
					t.Fatal(err)
				}
				got := fmt.Sprint(name, outcome(l))
				if before, ok := seen[l.Digest]; ok && before != got {
					t.Errorf("got digest %s for %s and for %s, want two", l.Digest, before, got)
				}
				seen[l.Digest] = got
			}
		}
	}
	if len(seen) != 12 { // 7 of two layers, and 5 of a bundle: as it is, without its blob or its manifest, by two codes
		t.Errorf("got %d digests, want 12: %v", len(seen), seen)
	}
}
