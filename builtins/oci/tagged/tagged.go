// Package tagged keeps small things in a repository of an OCI registry: each is an artifact of one layer under a tag of
// its own. It is for what an operator keeps there, not for images: the registry is one that the operator named, so
// that private addresses are dialled; its answers are as little believed as any.
//
// A tag is replaced by the last writer. What it pointed to stays until the registry collects it.
package tagged

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// ArtifactType is what the manifests say that they are.
	ArtifactType = "application/vnd.assay.object.v1"
	mediaType    = types.MediaType("application/vnd.assay.object.v1+octet-stream")
	emptyType    = types.MediaType("application/vnd.oci.empty.v1+json") // image-spec 1.1, "Guidance for an Empty Descriptor"
	// pageSize is none: registries choose how many tags they list at once. Some that are asked for a number stop there,
	// and say nowhere that there are more.
	pageSize = 0
	// renewAfter is after how many uploads the pusher is made anew: ggcr's remembers the digest of each.
	renewAfter = 256
)

var (
	// ErrNotFound is that the registry has no such tag, or no such repository.
	ErrNotFound = errors.New("not found")
	// ErrTooLarge is more bytes, or tags, than are read.
	ErrTooLarge = errors.New("too large")
	// ErrUnauthorized is that the registry, or its token realm, wants other credentials.
	ErrUnauthorized = errors.New("unauthorized")
)

// Keychain has credentials by registry.
type Keychain = authn.Keychain

// Options are how a registry is reached.
type Options struct {
	// Insecure allows plain HTTP.
	Insecure bool
	// Transport is the way there. Whoever gives it bounds what its answers hold.
	Transport http.RoundTripper
	// Keychain is nil for the Docker configuration's.
	Keychain Keychain
}

// Repository is where the artifacts are. It is safe for concurrent use.
type Repository struct {
	repo    name.Repository
	options []remote.Option
	puller  *remote.Puller

	mu     sync.Mutex
	pusher *remote.Pusher
	pushed int
}

// Open names a repository, registry/repository, and asks nothing of it.
func Open(where string, opts Options) (*Repository, error) {
	var how []name.Option
	if opts.Insecure {
		how = append(how, name.Insecure)
	}
	repo, err := name.NewRepository(where, append(how, name.StrictValidation)...)
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", where, err)
	}
	if repo.Scheme() != "https" && !opts.Insecure {
		return nil, fmt.Errorf("registry %s: got one that is reached by plain HTTP, want https, or insecure=true", repo.RegistryStr())
	}
	if opts.Keychain == nil {
		opts.Keychain = authn.DefaultKeychain
	}
	r := &Repository{repo: repo, options: []remote.Option{
		remote.WithTransport(careful{opts.Transport, repo.RegistryStr()}), remote.WithAuthFromKeychain(opts.Keychain), remote.WithPageSize(pageSize),
		remote.WithRetryBackoff(remote.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: 3}),
	}}
	if r.puller, err = remote.NewPuller(r.options...); err != nil {
		return nil, err
	}
	return r, nil
}

// Put writes data and moves the tag to it, which is one step for whoever reads.
func (r *Repository) Put(ctx context.Context, tag string, data []byte) error {
	pusher, err := r.pushing()
	if err != nil {
		return err
	}
	config, layer := static.NewLayer([]byte("{}"), emptyType), static.NewLayer(data, mediaType)
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: ArtifactType}
	for _, blob := range []v1.Layer{config, layer} {
		digest, err := blob.Digest()
		if err != nil {
			return err
		}
		if err := pusher.Upload(ctx, r.repo, blob); err != nil {
			return refused(err)
		}
		manifest.Layers = append(manifest.Layers, v1.Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(data))})
	}
	manifest.Config = v1.Descriptor{MediaType: emptyType, Digest: manifest.Layers[0].Digest, Size: 2}
	manifest.Layers = manifest.Layers[1:]
	raw, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	return refused(pusher.Put(ctx, r.repo.Tag(tag), document(raw)))
}

// pushing is the pusher, which is made anew now and then.
func (r *Repository) pushing() (*remote.Pusher, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pushed++; r.pusher != nil && r.pushed%renewAfter != 0 {
		return r.pusher, nil
	}
	var err error
	r.pusher, err = remote.NewPusher(r.options...)
	return r.pusher, err
}

// document is a manifest that is written as it is.
type document []byte

// RawManifest implements remote.Taggable.
func (d document) RawManifest() ([]byte, error) { return d, nil }

// MediaType says how the manifest is sent.
func (document) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// Get reads what a tag points to, at most so many bytes. Its digest is held to the manifest's.
func (r *Repository) Get(ctx context.Context, tag string, most int64) ([]byte, error) {
	got, err := r.puller.Get(ctx, r.repo.Tag(tag))
	if err != nil {
		return nil, refused(err)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(got.Manifest, &manifest); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if manifest.ArtifactType != ArtifactType || len(manifest.Layers) != 1 {
		return nil, fmt.Errorf("manifest: got artifact type %q with %d layers, want %s with 1", manifest.ArtifactType, len(manifest.Layers), ArtifactType)
	}
	one := manifest.Layers[0]
	if one.Size > most {
		return nil, fmt.Errorf("got %d bytes, want at most %d: %w", one.Size, most, ErrTooLarge)
	}
	layer, err := r.puller.Layer(ctx, r.repo.Digest(one.Digest.String()))
	if err != nil {
		return nil, refused(err)
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, refused(err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, one.Size+1))
	switch {
	case err != nil:
		return nil, refused(err)
	case int64(len(data)) != one.Size:
		return nil, fmt.Errorf("layer: got %d bytes or more, want the %d of its manifest", len(data), one.Size)
	}
	return data, nil
}

// List tells of all tags, of which there may be so many.
func (r *Repository) List(ctx context.Context, most int, tell func(tag string)) error {
	pages, err := r.puller.Lister(ctx, r.repo)
	if err != nil {
		return refused(err)
	}
	for seen := 0; pages.HasNext(); {
		page, err := pages.Next(ctx)
		if err != nil {
			return refused(err)
		}
		if seen += max(len(page.Tags), 1); seen > most { // empty pages count: they could go on for ever
			return fmt.Errorf("got more than %d tags: %w", most, ErrTooLarge)
		}
		for _, tag := range page.Tags {
			tell(tag)
		}
	}
	return nil
}

// refused tells kinds of refusals apart.
func refused(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	}
	return err
}
