package oci_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

func TestParsePlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, repository, prefix string
		want                     string // String of the place, or part of the refusal
		refused                  bool
	}{
		{name: "the zero value is beside the image"},
		{name: "SRC-1: a repository", repository: "ghcr.io/acme/signatures", want: "ghcr.io/acme/signatures:"},
		{name: "SRC-1: a registry alone is a repository of Docker Hub", repository: "ghcr.io", want: "index.docker.io/library/ghcr.io:"},
		{name: "SRC-1: a name alone is one too", repository: "acme/signatures", want: "index.docker.io/acme/signatures:"},
		{name: "SRC-1: a host has one spelling", repository: "GHCR.io/acme/signatures", want: "ghcr.io/acme/signatures:"},
		{name: "SRC-1: a registry with a port", repository: "r.example:5000/a", want: "r.example:5000/a:"},
		{name: "SRC-2: a prefix alone", prefix: "release-", want: "/:release-"},
		{name: "SRC-2: the longest prefix", prefix: strings.Repeat("x", 53), want: "/:" + strings.Repeat("x", 53)},
		{name: "SRC-1: a port is no repository", repository: "r.example:5000", want: "a tag or a port", refused: true},
		{name: "SRC-1: a tag", repository: "ghcr.io/acme/app:v1", want: "a tag or a port", refused: true},
		{name: "SRC-1: the tag that none means", repository: "ghcr.io/acme/app:latest", want: "a tag or a port", refused: true},
		{name: "SRC-1: a digest", repository: "ghcr.io/a@sha256:" + strings.Repeat("0", 64), want: "digest", refused: true},
		{name: "SRC-1: a URL", repository: "https://ghcr.io/acme/app", want: "repository", refused: true},
		{name: "SRC-1: a path that leads up", repository: "ghcr.io/acme/../other", want: "repository", refused: true},
		{name: "SRC-1: a space", repository: "ghcr.io/acme/app ", want: "not printable", refused: true},
		{name: "SRC-1: a long one", repository: "ghcr.io/" + strings.Repeat("a/", 2000), want: "bytes", refused: true},
		{name: "SRC-2: a prefix that leads up", prefix: "../", want: "beginning of a tag", refused: true},
		{name: "SRC-2: a prefix with a query", prefix: "a?b=", want: "beginning of a tag", refused: true},
		{name: "SRC-2: a prefix that no tag begins with", prefix: "-a", want: "beginning of a tag", refused: true},
		{name: "SRC-2: a prefix that leaves no room", prefix: strings.Repeat("x", 54), want: "at most 53", refused: true},
		{name: "SRC-2: a prefix beyond ASCII", prefix: "é", want: "beginning of a tag", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := oci.ParsePlace(tt.repository, tt.prefix)
			if tt.refused {
				mustRefuse(t, err, oci.Malformed, tt.want)
				if got != (oci.Place{}) {
					t.Errorf("got place %s beside a refusal, want none", got)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %s and %v, want %s", got, err, tt.want)
			}
		})
	}
}

// FuzzParsePlace: what is a place has a registry, and tags that stay below its repository.
func FuzzParsePlace(f *testing.F) {
	f.Add("ghcr.io/acme/app", "x-")
	f.Add("ghcr.io", "")
	f.Add("a:b/c@d", "..")
	f.Fuzz(func(t *testing.T, repository, prefix string) {
		place, err := oci.ParsePlace(repository, prefix)
		if err != nil {
			return
		}
		image := oci.Reference{Registry: "r.example", Repository: "a", Digest: "sha256:" + strings.Repeat("0", 64)}
		if host := place.Registry(image); host == "" || strings.ContainsAny(host, "/@ ?#") {
			t.Errorf("got registry %q of %q", host, repository)
		}
		if strings.ContainsAny(prefix, "/?#%@: ") {
			t.Errorf("got prefix %q accepted", prefix)
		}
	})
}

// elsewhere is the place repo with a prefix, at the fake.
func elsewhere(t *testing.T, f *fake, repo, prefix string) oci.Place {
	t.Helper()
	place, err := oci.ParsePlace(f.host()+"/"+repo, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// TestEvidenceIsReadFromItsPlace, and from nowhere else.
func TestEvidenceIsReadFromItsPlace(t *testing.T) {
	t.Parallel()
	images, sources := newFake(t), newFake(t)
	ref, subject := images.image(t, "org/app", "v1")
	images.attach(t, ref, ".sig", images.push(t, "org/app", simpleType, []byte("beside the image")))
	put := func(tag, content string) {
		sources.tag(t, "org/sigs", tag, man{SchemaVersion: 2, MediaType: imageType, Layers: []desc{sources.push(t, "org/sigs", simpleType, []byte(content))}})
	}
	derived := strings.Replace(subject.Digest, ":", "-", 1)
	put(derived+".sig", "signature")
	put("rel-"+derived+".sig", "signature with a prefix")
	put("rel-"+derived+".att", "attestation with a prefix")
	sources.referrer(t, "org/sigs", subject, bundleType, "bundle")
	c := newClient(t)
	for _, tt := range []struct {
		name, call, prefix, want, where string
	}{
		{"SRC-1: a signature", "signatures", "", "signature", "/org/sigs:" + derived + ".sig"},
		{"SRC-2: a signature with a prefix", "signatures", "rel-", "signature with a prefix", "/org/sigs:rel-" + derived + ".sig"},
		{"SRC-2: an attestation with a prefix", "attestations", "rel-", "attestation with a prefix", "/org/sigs:rel-" + derived + ".att"},
		{"BND-7: a bundle, ours where upstream ignores the source", "bundles", "", "bundle", "referrers of " + sources.host() + "/org/sigs@" + subject.Digest},
		{"BND-7: a bundle, whose storage has no tags to be prefixed", "bundles", "rel-", "bundle", "referrers of " + sources.host() + "/org/sigs@" + subject.Digest},
		{"SRC-2: none under another prefix", "signatures", "other-", "", "/org/sigs:other-" + derived + ".sig"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			place := elsewhere(t, sources, "org/sigs", tt.prefix)
			read := map[string]func() (oci.List, error){
				"signatures":   func() (oci.List, error) { return c.Signatures(t.Context(), anonymous, ref, place) },
				"attestations": func() (oci.List, error) { return c.Attestations(t.Context(), anonymous, ref, place) },
				"bundles":      func() (oci.List, error) { return c.Bundles(t.Context(), anonymous, ref, place) },
			}[tt.call]
			got, err := read()
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, layer := range got.Layers {
				text += string(layer.Content)
			}
			if text != tt.want || len(got.Where) != 1 || !strings.HasSuffix(got.Where[0], tt.where) {
				t.Errorf("got %q from %q, want %q from %s", text, got.Where, tt.want, tt.where)
			}
		})
	}
	if got := images.requests(); len(got) > 0 {
		t.Errorf("got requests %q to the registry of the image, want none", got)
	}
	if l, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{}); err != nil || len(l.Layers) != 1 || string(l.Layers[0].Content) != "beside the image" {
		t.Errorf("got %+v and %v, want what is beside the image: lists are kept by place", l, err)
	}
}

// TestCount reads the list and none of what it lists.
func TestCount(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	f.attach(t, ref, ".sig", f.push(t, "org/app", simpleType, []byte("one")), f.push(t, "org/app", simpleType, []byte("two")))
	bundle := f.referrer(t, "org/app", subject, bundleType, "bundle")
	other := f.referrer(t, "org/app", subject, "application/spdx+json", "no bundle")
	unsaid := other
	unsaid.ArtifactType = "" // may be one, and nobody says so
	f.on("/referrers/", func(w http.ResponseWriter, _ *http.Request) { writeIndex(w, bundle, other, unsaid) })
	c := newClient(t)
	for storage, want := range map[oci.Storage]int{oci.SignatureTag: 2, oci.AttestationTag: 0, oci.Referrers: 1} {
		if got, err := c.Count(t.Context(), anonymous, ref, oci.Place{}, storage); err != nil || got != want {
			t.Errorf("%s: got %d and %v, want %d", storage, got, err, want)
		}
	}
	if got := f.requests(); len(got) != 4 {
		t.Errorf("got requests %q, want the ping and one for each", got)
	}
	f.on("/manifests/", status(500))
	if _, err := newClient(t).Count(t.Context(), anonymous, ref, oci.Place{}, oci.SignatureTag); err == nil {
		t.Error("got no error of a broken registry")
	}
}
