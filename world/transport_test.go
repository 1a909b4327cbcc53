package world_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/assay-dev/assay/world"
)

const namedRegistries = signers + `
registry: ghcr.io
images:
  app: {repository: acme/app, tag: v1, signatures: [{signer: release}, {signer: release, format: bundle}]}
  base: {registry: docker.io, repository: library/alpine, evidenceIn: {registry: evidence.example, repository: sigs}, signatures: [{signer: release}]}
`

func TestNamedRegistriesAnswerInTheProcess(t *testing.T) {
	t.Parallel()
	w := open(t, namedRegistries)
	for image, want := range map[string]string{"app": "ghcr.io/acme/app:v1", "base": "index.docker.io/library/alpine:latest"} {
		ref, digest, _ := w.Image(image)
		if ref != want {
			t.Errorf("%s: got %s, want %s", image, ref, want)
		}
		parsed, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		got, err := remote.Head(parsed, remote.WithTransport(w.Transport()))
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest.String() != digest {
			t.Errorf("%s: got digest %s, want %s", image, got.Digest, digest)
		}
	}
	if got, want := w.Registry(), "ghcr.io"; got != want {
		t.Errorf("registry: got %s, want %s", got, want)
	}
	if got, want := w.Expand("${registry} ${app} ${base}"), "ghcr.io ghcr.io/acme/app:v1 index.docker.io/library/alpine:latest"; got != want {
		t.Errorf("variables: got %s, want %s", got, want)
	}
}

func TestEvidenceLiesInTheRegistryThatIsNamed(t *testing.T) {
	t.Parallel()
	w := open(t, namedRegistries)
	_, digest, _ := w.Image("base")
	tag := strings.Replace(digest, ":", "-", 1) + ".sig"
	for repository, want := range map[string]int{"evidence.example/v2/sigs": 200, "index.docker.io/v2/library/alpine": 404} {
		if got, _ := through(t, w, "https://"+repository+"/manifests/"+tag); got != want {
			t.Errorf("%s: got status %d, want %d", repository, got, want)
		}
	}
	want := []string{
		"GET evidence.example/v2/sigs/manifests/" + tag, "GET index.docker.io/v2/library/alpine/manifests/" + tag,
	}
	got := w.Requests()
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestImagesOfTwoRegistriesAreNotOne(t *testing.T) {
	t.Parallel()
	w := open(t, `
registry: ghcr.io
images:
  here: {repository: acme/app}
  there: {registry: quay.io, repository: acme/app}
`)
	_, here, _ := w.Image("here")
	_, there, _ := w.Image("there")
	if status, _ := through(t, w, "https://quay.io/v2/acme/app/manifests/"+here); status != http.StatusNotFound || here == there {
		t.Errorf("got status %d for what lies elsewhere, want %d", status, http.StatusNotFound)
	}
}

func TestOtherHostsAreNotReached(t *testing.T) {
	t.Parallel()
	w := open(t, namedRegistries)
	for _, host := range []string{"quay.io", "127.0.0.1:1", "ghcr.io:443", "GHCR.io"} {
		if _, err := through(t, w, "https://"+host+"/v2/"); err == nil || !strings.Contains(err.Error(), "no registry of that name in the world") {
			t.Errorf("%s: got %v, want a refusal", host, err)
		}
	}
}

func TestTransportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := open(t, namedRegistries)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://ghcr.io/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.Transport().RoundTrip(request)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v and %v, want %v", response, err, context.Canceled)
	}
}

// TestLoopbackImagesBesideNamedOnes: only images without a registry want a port.
func TestLoopbackImagesBesideNamedOnes(t *testing.T) {
	t.Parallel()
	w := open(t, `images: {app: {}, other: {registry: ghcr.io}}`)
	if status, _ := get(t, w, "/v2/app/manifests/latest"); status != http.StatusOK {
		t.Errorf("over the network: got status %d, want %d", status, http.StatusOK)
	}
	if status, _ := get(t, w, "/v2/other/manifests/latest"); status != http.StatusNotFound {
		t.Errorf("of another registry: got status %d, want %d", status, http.StatusNotFound)
	}
	if status, err := through(t, w, "http://"+w.Registry()+"/v2/app/manifests/latest"); status != http.StatusOK {
		t.Errorf("in the process: got status %d and %v, want %d", status, err, http.StatusOK)
	}
}

func TestRegistryNamesAreChecked(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		`registry: Ghcr.io`:                            `world: registry: got "Ghcr.io", want the name of a registry in lower case`,
		`registry: ghcr.io/acme`:                       `world: registry: got "ghcr.io/acme", want the name of a registry in lower case`,
		`images: {app: {registry: "a b"}}`:             `world: images.app.registry: got "a b", want the name of a registry in lower case`,
		`images: {app: {evidenceIn: {registry: "/"}}}`: `world: images.app.evidenceIn.registry: got "/", want the name of a registry in lower case`,
		`images: {a: {registry: ghcr.io, repository: x}, b: {registry: ghcr.io, repository: x}}`: `world: images.b: got ghcr.io/x:latest, which is image a already`,
	} {
		if _, err := world.Parse([]byte(yaml)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", yaml, err, want)
		}
	}
}

// through asks the world in the process.
func through(t *testing.T, w *world.World, url string) (int, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.Transport().RoundTrip(request)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Body.Close()
}
