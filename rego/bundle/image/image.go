// Package image reads a bundle out of a registry as the configuration of OPA has it: from the
// host of a service, with the credentials of that service, at the place where OPA's own
// downloader finds it.
//
// It takes the place of that downloader, which keeps whatever a registry sends on the disk, for
// ever and without a bound. Here everything is bounded before it is read: the manifests, how
// many an index leads to, the bundle. All that was asked for by a digest hashes to it.
//
// Credentials are for the host of the service, and for the server of tokens that it names.
// Where a registry leads to another host for the bytes, as most do, that host gets none of them.
// The certificate of a client is for the host of the service alone.
//
// Who may be believed is not known here: see cmd/assay/trusted.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	// layerType is the media type by which OPA finds the bundle among the layers of an image.
	layerType = "application/vnd.oci.image.layer.v1.tar+gzip"
	// maxManifest bounds one manifest. That of a bundle has 600 bytes, an index of many
	// platforms some thousand.
	maxManifest = 1 << 20
	// maxManifests bounds how many are read to find the bundle, and maxDepth how deep.
	maxManifests, maxDepth = 32, 4
)

// Service is how a host is asked.
type Service struct {
	// URL is that of the service: its host is the registry.
	URL string
	// Client speaks to it, with the certificates of the service. It follows redirects.
	Client *http.Client
	// Prepare puts the credentials of the service into a request.
	Prepare func(*http.Request) error
}

// Bundle is what a repository has.
type Bundle struct {
	// Digest is that of the layer, sha256:….
	Digest string
	// Content is the bundle, nil where it is one that is known.
	Content []byte
}

// Repository is where the bundle is. It is for one goroutine at a time.
type Repository struct {
	reference registry.Reference
	most      int64
	// manifest is the digest that the reference named last, and layer where that led.
	manifest, layer digest.Digest
}

// New parses a reference as OPA does: it has a host, which the service has a say in. most
// bounds the bundle.
func New(reference string, most int64) (*Repository, error) {
	parsed, err := registry.ParseReference(reference)
	switch {
	case err != nil:
		return nil, fmt.Errorf("resource: got %q, want registry/repository:tag: %w", reference, err)
	case parsed.Reference == "":
		return nil, fmt.Errorf("resource: got %q without a tag or a digest, want one", reference)
	}
	return &Repository{reference: parsed, most: most}, nil
}

// Fetch reads the bundle that the reference names now, unless it is known.
func (r *Repository) Fetch(ctx context.Context, from Service, known []string) (Bundle, error) {
	at, err := url.Parse(from.URL)
	if err != nil || at.Host == "" {
		return Bundle{}, fmt.Errorf("services.url: got %q, want that of a registry", from.URL)
	}
	guard := &guarded{base: from.Client.Transport, prepare: from.Prepare, home: at}
	defer guard.close()
	f := &fetch{
		repository: &url.URL{Scheme: at.Scheme, Host: at.Host, Path: "/v2/" + r.reference.Repository},
		client: &auth.Client{
			Client: &http.Client{Transport: guard},
			Cache:  auth.NewCache(),
		},
		seen: map[digest.Digest]bool{},
	}
	manifest, err := f.resolve(ctx, r.reference)
	if err != nil {
		return Bundle{}, err
	}
	if manifest == r.manifest && slices.Contains(known, r.layer.String()) {
		return Bundle{Digest: r.layer.String()}, nil
	}
	layer, err := f.find(ctx, manifest, 0)
	if err != nil {
		return Bundle{}, err
	}
	out := Bundle{Digest: layer.Digest.String()}
	if !slices.Contains(known, out.Digest) {
		if out.Content, err = f.blob(ctx, layer, r.most); err != nil {
			return Bundle{}, err
		}
	}
	r.manifest, r.layer = manifest, layer.Digest
	return out, nil
}

// descriptor names something of a repository.
type descriptor struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
	Platform  *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// checked refuses what has no digest that we compute.
func checked(d digest.Digest) error {
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest: got %.100q, want sha256: and 64 hexadecimal digits", string(d))
	}
	return nil
}

// fetch is one look at a repository.
type fetch struct {
	repository *url.URL
	client     *auth.Client
	seen       map[digest.Digest]bool // manifests
}

// resolve asks which digest a tag names.
func (f *fetch) resolve(ctx context.Context, reference registry.Reference) (digest.Digest, error) {
	if named, err := reference.Digest(); err == nil {
		return named, checked(named)
	}
	response, err := f.ask(ctx, http.MethodHead, "manifests", reference.Reference)
	if err != nil {
		return "", err
	}
	_ = response.Body.Close() // which a HEAD has not
	named := digest.Digest(response.Header.Get("Docker-Content-Digest"))
	if err := checked(named); err != nil {
		return "", fmt.Errorf("%s: Docker-Content-Digest: %w", f.name("manifests", reference.Reference), err)
	}
	return named, nil
}

// find looks for the bundle in an image, or in those of an index.
func (f *fetch) find(ctx context.Context, of digest.Digest, depth int) (descriptor, error) {
	if f.seen[of] = true; len(f.seen) > maxManifests || depth > maxDepth {
		return descriptor{}, fmt.Errorf("%s: got an index of more than %d manifests, or deeper than %d, want the image of a bundle", f.name("manifests", string(of)), maxManifests, maxDepth)
	}
	text, err := f.read(ctx, "manifests", of, maxManifest)
	if err != nil {
		return descriptor{}, err
	}
	var manifest struct {
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return descriptor{}, fmt.Errorf("%s: want a manifest: %w", f.name("manifests", string(of)), err)
	}
	if len(manifest.Layers) > 0 {
		return f.bundleOf(of, manifest.Layers)
	}
	var errs []error
	for _, entry := range manifest.Manifests {
		// What describes an image to builders has a platform that is none.
		if entry.Platform != nil && entry.Platform.OS == "unknown" && entry.Platform.Architecture == "unknown" || f.seen[entry.Digest] {
			continue
		}
		layer, err := f.find(ctx, entry.Digest, depth+1)
		if err == nil {
			return layer, nil
		}
		if errs = append(errs, err); len(f.seen) > maxManifests || ctx.Err() != nil {
			return descriptor{}, err
		}
	}
	return descriptor{}, errors.Join(append(errs, fmt.Errorf("%s: got no layers, want the image of a bundle", f.name("manifests", string(of))))...)
}

// bundleOf is the one layer that may be a bundle. OPA takes the first, and another reader
// another one.
func (f *fetch) bundleOf(of digest.Digest, layers []descriptor) (descriptor, error) {
	layers = slices.DeleteFunc(layers, func(layer descriptor) bool { return layer.MediaType != layerType })
	if len(layers) != 1 {
		return descriptor{}, fmt.Errorf("%s: got %d layers of type %s, want one, which is the bundle", f.name("manifests", string(of)), len(layers), layerType)
	}
	return layers[0], nil
}

func (f *fetch) blob(ctx context.Context, layer descriptor, most int64) ([]byte, error) {
	if layer.Size < 0 || layer.Size > most {
		return nil, fmt.Errorf("%s: got a bundle of %d bytes, want at most %d", f.name("blobs", string(layer.Digest)), layer.Size, most)
	}
	return f.read(ctx, "blobs", layer.Digest, layer.Size)
}

// read reads what a digest names, and not more than most.
func (f *fetch) read(ctx context.Context, kind string, of digest.Digest, most int64) ([]byte, error) {
	if err := checked(of); err != nil {
		return nil, fmt.Errorf("%s: %w", f.repository.Redacted(), err)
	}
	response, err := f.ask(ctx, http.MethodGet, kind, string(of))
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read
	// A body that stalls is closed under the reader, whatever a transport makes of its context.
	defer context.AfterFunc(ctx, func() { _ = response.Body.Close() })()
	content, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: got %d bytes in time, want all of it: %w", f.name(kind, string(of)), len(content), context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("%s: after %d bytes: %w", f.name(kind, string(of)), len(content), err)
	case int64(len(content)) > most:
		return nil, fmt.Errorf("%s: got more than %d bytes", f.name(kind, string(of)), most)
	case digest.FromBytes(content) != of:
		return nil, fmt.Errorf("%s: got bytes with digest %s, want those of the digest", f.name(kind, string(of)), digest.FromBytes(content))
	}
	return content, nil
}

// ask sends a request, and takes no answer but 200.
func (f *fetch) ask(ctx context.Context, method, kind, of string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, f.name(kind, of), nil)
	if err != nil {
		return nil, err
	}
	if kind == "manifests" {
		request.Header.Set("Accept", strings.Join([]string{
			"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
			"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json", "*/*",
		}, ", "))
	}
	response, err := f.client.Do(request)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err // the URL may be one that was led to, which has a signature in it
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, f.name(kind, of), err)
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close() // nothing of it is read
		return nil, fmt.Errorf("%s %s: got status %d, want 200", method, f.name(kind, of), response.StatusCode)
	}
	return response, nil
}

func (f *fetch) name(kind, of string) string { return f.repository.JoinPath(kind, of).String() }
