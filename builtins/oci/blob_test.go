package oci_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	image := f.built(t, "org/app", "", platform("linux", "amd64", ""))
	c := newClient(t)
	ref := f.host() + "/org/app@" + image.Digest
	got, err := c.Config(t.Context(), anonymous, ref)
	if err != nil || !strings.Contains(string(got), `"User":"65532"`) || strings.Contains(string(got), "ours") {
		t.Errorf("got %s and error %v, want the fields of a config file", got, err)
	}
	if got := f.requests(); len(got) != 3 {
		t.Errorf("got requests %q, want the ping, the manifest and the config file", got)
	}
	if _, err := c.Config(t.Context(), anonymous, ref); err != nil || len(f.requests()) != 0 {
		t.Errorf("got error %v or a request, want what was read before", err)
	}

	index, _ := f.index(t, "org/app", "v1", image)
	_, err = c.Config(t.Context(), anonymous, index)
	mustRefuse(t, err, oci.Malformed, "got an index of 1 manifests, want one image")
	artifact := f.tag(t, "org/app", "", man{SchemaVersion: 2, MediaType: "application/vnd.example+json"})
	_, err = c.Config(t.Context(), anonymous, f.host()+"/org/app@"+artifact.Digest)
	mustRefuse(t, err, oci.Malformed, `got media type "application/vnd.example+json", want an image`)
	garbage := f.built(t, "org/app", "", "[]")
	_, err = c.Config(t.Context(), anonymous, f.host()+"/org/app@"+garbage.Digest)
	mustRefuse(t, err, oci.Malformed, "not a config file")
	large := f.built(t, "org/app", "", `{"a":"`+strings.Repeat("x", 3<<20)+`"}`)
	_, err = c.Config(t.Context(), anonymous, f.host()+"/org/app@"+large.Digest)
	mustRefuse(t, err, oci.TooLarge, "want at most 2097152")
	_, err = c.Config(t.Context(), anonymous, f.host()+"/org/app:v1")
	mustRefuse(t, err, oci.Malformed, "got a tag, want a digest")
}

func TestBlob(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	blob := f.push(t, "org/app", "text/plain", []byte("some text"))
	c := newClient(t)
	ref := f.host() + "/org/app@" + blob.Digest
	for range 2 {
		got, err := c.Blob(t.Context(), anonymous, ref)
		if err != nil || string(got) != "some text" {
			t.Errorf("got %q and error %v, want the text", got, err)
		}
	}
	if got := f.requests(); len(got) != 2 {
		t.Errorf("got requests %q, want the ping and the blob, once", got)
	}
	_, err := c.Blob(t.Context(), anonymous, f.host()+"/org/app@"+describe("", []byte("none")).Digest)
	mustRefuse(t, err, oci.NotFound, "status 404")
	_, err = c.Blob(t.Context(), anonymous, f.host()+"/org/app:v1")
	mustRefuse(t, err, oci.Malformed, "got a tag, want a digest")
	large := f.push(t, "org/app", "text/plain", bytes.Repeat([]byte("x"), 4<<20+1))
	_, err = c.Blob(t.Context(), anonymous, f.host()+"/org/app@"+large.Digest)
	mustRefuse(t, err, oci.TooLarge, "want at most 4194304")
	f.on("/blobs/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("evil text")) })
	_, err = newClient(t).Blob(t.Context(), anonymous, ref)
	mustRefuse(t, err, oci.DigestMismatch, "got bytes with digest")
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	for _, fallback := range []bool{false, true} {
		t.Run(fmt.Sprintf("fallback tag %t", fallback), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, subject := f.image(t, "org/app", "v1")
			bill := f.referrer(t, "org/app", subject, "application/spdx+json", "bill")
			bill.Annotations = map[string]string{"org.opencontainers.image.created": "2026-06-01T12:00:00Z"}
			listed := []desc{bill, f.referrer(t, "org/app", subject, bundleType, "bundle"), bill}
			if fallback {
				f.tag(t, "org/app", strings.Replace(subject.Digest, ":", "-", 1), man{SchemaVersion: 2, MediaType: indexType, Manifests: listed})
				f.on("/referrers/", status(http.StatusNotFound))
			} else {
				f.on("/referrers/", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, listed...) })
			}
			at := newClock()
			c := newClient(t, oci.WithClock(at.now))
			var want []oci.Referrer
			for _, d := range listed[:2] {
				annotations := d.Annotations
				if annotations == nil {
					annotations = map[string]string{}
				}
				want = append(want, oci.Referrer{
					MediaType: d.MediaType, ArtifactType: d.ArtifactType, Digest: d.Digest, Size: d.Size, Annotations: annotations,
					Ref: f.host() + "/org/app@" + d.Digest,
				})
			}
			if want[0].Digest > want[1].Digest {
				want[0], want[1] = want[1], want[0]
			}
			for _, step := range []struct {
				name     string
				after    time.Duration
				requests int
			}{{"cold", 0, 2}, {"warm", 9 * time.Second, 0}, {"later", 2 * time.Second, 1}} {
				at.add(step.after)
				got, err := c.Referrers(t.Context(), anonymous, ref)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%s: got error %v and referrers (-want +got):\n%s", step.name, err, diff)
				}
				requests := step.requests
				if fallback && requests > 0 {
					requests++
				}
				if got := f.requests(); len(got) != requests {
					t.Errorf("%s: got requests %q, want %d", step.name, got, requests)
				}
			}
		})
	}
}

func TestReferrersRefuse(t *testing.T) {
	t.Parallel()
	some := describe(imageType, []byte("x"))
	wordy := some
	wordy.Annotations = map[string]string{"a": strings.Repeat("x", 2<<20)}
	many := make([]desc, 501)
	for i := range many {
		many[i] = describe(imageType, []byte(fmt.Sprint(i)))
	}
	for _, tt := range []struct {
		name string
		how  http.HandlerFunc
		code oci.Code
		says string
	}{
		{"many", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, many...) }, oci.TooLarge, "got 501 referrers or more, want at most 500"},
		{"large annotations", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, wordy) }, oci.TooLarge, "more than 1048576 bytes"},
		{"a digest that is none", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, desc{Digest: "sha256:.."}) }, oci.Malformed, "got a descriptor with digest"},
		{"an endless answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", indexType)
			zeros(w, 64<<20, false)
		}, oci.TooLarge, "want at most 4194304"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", indexType)
			_, _ = w.Write([]byte("{"))
		}, oci.Malformed, "not a manifest"},
		{"an error", status(http.StatusBadGateway), oci.Unreachable, "status 502"},
		{"not allowed", status(http.StatusForbidden), oci.Unauthorized, "status 403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			ref, _ := f.image(t, "org/app", "v1")
			f.on("/referrers/", tt.how)
			_, err := newClient(t).Referrers(t.Context(), anonymous, ref)
			mustRefuse(t, err, tt.code, tt.says)
		})
	}
	f := newFake(t)
	ref, _ := f.image(t, "org/app", "v1")
	at := newClock()
	c := newClient(t, oci.WithClock(at.now))
	for _, want := range []int{2, 0, 1} {
		got, err := c.Referrers(t.Context(), anonymous, ref)
		if err != nil || got == nil || len(got) != 0 {
			t.Errorf("got %v and error %v, want an empty list", got, err)
		}
		if requests := f.requests(); len(requests) != want {
			t.Errorf("got requests %q, want %d: that there are none holds for 2 s", requests, want)
		}
		at.add(1100 * time.Millisecond)
	}
}

// TestContentOfOneTenantDoesNotServeAnother: nothing that these calls keep is anybody else's.
func TestContentOfOneTenantDoesNotServeAnother(t *testing.T) {
	t.Parallel()
	f := newFake(t).withPasswords()
	ref, m := f.layered(t, "org/app", gzipped(t, map[string]string{"a": "text"}))
	blob := f.host() + "/org/app@" + m.Config.Digest
	c := newClient(t)
	reads := map[string]func(oci.Credentials) error{
		"config":    func(cred oci.Credentials) error { _, err := c.Config(t.Context(), cred, ref); return err },
		"blob":      func(cred oci.Credentials) error { _, err := c.Blob(t.Context(), cred, blob); return err },
		"referrers": func(cred oci.Credentials) error { _, err := c.Referrers(t.Context(), cred, ref); return err },
		"files":     func(cred oci.Credentials) error { _, err := c.Files(t.Context(), cred, ref, []string{"a"}); return err },
	}
	for name, read := range reads {
		if err := read(tenant("alice")); err != nil {
			t.Errorf("%s: got error %v for alice", name, err)
		}
		mustRefuse(t, read(tenant("mallory")), oci.Unauthorized)
		mustRefuse(t, read(anonymous), oci.Unauthorized)
	}
}
