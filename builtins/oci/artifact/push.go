package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/registries"
)

// Way is how a registry is reached that is written to. The zero value dials public
// addresses alone, over TLS, and has no credentials.
type Way struct {
	// Private allows loopback and private addresses.
	Private bool
	// Registries says of single registries what an installation knows.
	Registries *registries.Config
	// Credentials are those of who writes.
	Credentials oci.Credentials
	// Transport takes the place of the network, for tests.
	Transport http.RoundTripper
}

// Push writes an image to the reference, which must have a tag and no digest, and returns
// the reference by digest. What is there under the tag gives way to it.
func Push(ctx context.Context, way Way, ref string, image v1.Image) (string, error) {
	r, err := oci.Parse(ref)
	if err != nil {
		return "", err
	}
	if r.Digest != "" {
		return "", edge.Refuse(edge.Malformed, "reference %q: got a digest, want a tag: the digest is that of what is pushed", ref)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("push %s: %w", r.Name, err)
	}
	tag, options, err := way.to(ctx, r)
	if err != nil {
		return "", err
	}
	if err := remote.Write(tag, image, options...); err != nil {
		return "", refusal("push "+r.Name, err)
	}
	return r.Registry + "/" + r.Repository + "@" + digest.String(), nil
}

// to is the way to the tag of a reference.
func (w Way) to(ctx context.Context, r oci.Reference) (name.Tag, []remote.Option, error) {
	plain := w.Registries.Plain(r.Registry)
	options := []name.Option{name.WeakValidation}
	if plain {
		options = append(options, name.Insecure)
	}
	tag, err := name.NewTag(r.Registry+"/"+r.Repository+":"+r.Tag, options...)
	if err != nil {
		return tag, nil, edge.Refuse(edge.Malformed, "reference %q: %s", r.Name, edge.Brief(err))
	}
	if tag.Scheme() != "https" && !plain && !edge.Near(r.Registry) {
		return tag, nil, edge.Refuse(edge.ForbiddenHost, "registry %s: got plain http, want https", r.Registry)
	}
	auth, err := w.auth(ctx, tag)
	if err != nil {
		return tag, nil, err
	}
	return tag, []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth), remote.WithTransport(w.transport(r.Registry, auth))}, nil
}

func (w Way) auth(ctx context.Context, at name.Tag) (authn.Authenticator, error) {
	if w.Credentials.Keychain == nil {
		return authn.Anonymous, nil
	}
	auth, err := authn.Resolve(ctx, w.Credentials.Keychain, at.Context())
	if err != nil {
		return nil, edge.WithoutCredentials("registry "+at.RegistryStr(), err)
	}
	return auth, nil
}

// transport is a session that never begins to read: whatever a registry answers to what is
// written is short, and is bounded as pings and tokens are.
func (w Way) transport(registry string, auth authn.Authenticator) http.RoundTripper {
	guard, network := edge.Guard{Private: w.Private}, w.Transport
	if network == nil {
		network = w.Registries.Network(edge.Pool{Guard: guard, Concurrency: 4}, time.Now).Over(registry)
	}
	return edge.NewSession(network, guard).Home(registry, auth)
}

// refusal gives what ggcr says a code, and hides what a registry wrote into it.
func refusal(what string, err error) error {
	if own := (*edge.Error)(nil); errors.As(err, &own) {
		return edge.Refusal(what, own)
	}
	return edge.Refusal(what, err)
}
