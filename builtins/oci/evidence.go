package oci

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
	"github.com/assay-dev/assay/builtins/oci/memo"
)

// MaxLayers bounds the layers of one list, and the bundles among the referrers of one image. An authority tries at
// most 50 signatures; whoever attached more is told so before the first is fetched.
const MaxLayers = 50

// List is the evidence that a registry holds about one image. It is a claim: nothing in it has been verified but
// that the content of each layer has the layer's digest.
type List struct {
	// Digest is a SHA-256 over all of the evidence: the digests of the manifests, and so their annotations, those of
	// the layers, and the codes of the layers that could not be had. The same evidence has the same Digest, in
	// whatever order a registry lists it.
	Digest string
	Layers []Layer
	Where  []string // what was looked at, for messages
}

// Layer is one piece of evidence, or why it could not be had: one that is broken says nothing about its siblings.
// Annotations are the caller's own; Content is shared and must not be written to.
type Layer struct {
	MediaType   string
	Digest      string // of a referrer whose manifest could not be had: that of the manifest
	Annotations map[string]string
	Content     []byte
	Err         *Error // why Content is nil
}

// Storage is one of the ways in which evidence about an image is kept.
type Storage string

// The storages.
const (
	SignatureTag   Storage = "signatures"
	AttestationTag Storage = "attestations"
	Referrers      Storage = "bundles"
)

// Signatures reads what cosign keeps under the tag sha256-<hex>.sig of the digest reference ref, in the place at.
// Where that tag is missing the list is empty.
func (c *Client) Signatures(ctx context.Context, cred Credentials, ref string, at Place) (List, error) {
	return c.attached(ctx, cred, ref, at, SignatureTag)
}

// Attestations reads what cosign keeps under the tag sha256-<hex>.att of the digest reference ref, in the place at.
// Where that tag is missing the list is empty.
func (c *Client) Attestations(ctx context.Context, cred Credentials, ref string, at Place) (List, error) {
	return c.attached(ctx, cred, ref, at, AttestationTag)
}

// Count says how many pieces of evidence a storage lists, and reads none of them. It is for messages: what is listed
// proves nothing, and that nothing is listed neither.
func (c *Client) Count(ctx context.Context, cred Credentials, ref string, at Place, storage Storage) (int, error) {
	_, k, l, err := c.listed(ctx, cred, ref, at, storage)
	if err != nil {
		return 0, err
	}
	n := len(l.described)
	if storage == Referrers {
		n = 0
		for _, d := range l.described {
			if manifest.IsBundle(d.ArtifactType) {
				n++
			}
		}
	}
	if len(l.described) == 0 {
		c.content.Shorten(k, l, emptyTTL)
	}
	return n, nil
}

// attached reads the image manifest under the tag that cosign derives from ref's digest, then its layers.
func (c *Client) attached(ctx context.Context, cred Credentials, ref string, at Place, storage Storage) (List, error) {
	return c.list(ctx, cred, ref, at, storage, func(ctx context.Context, r Reference, l *listing, e evidence) ([]Layer, error) {
		if l.manifest == "" {
			return nil, nil
		}
		layers := c.layers(ctx, cred, r, "manifest "+l.where[0], l.described)
		e.add(l.manifest, layers)
		return layers, nil
	})
}

func (c *Client) tagged(ctx context.Context, cred Credentials, r Reference, tag string) (*listing, error) {
	l := &listing{where: []string{r.at(tag)}}
	what := "manifest " + r.at(tag)
	p, err := c.get(ctx, cred, r, request{path: "manifests/" + tag, accept: manifest.AcceptImage, most: c.maxManifest, what: what})
	if errors.Is(err, NotFound) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := manifest.ParseImage(what, p.body)
	if err != nil {
		return nil, err
	}
	l.manifest, l.described = digestOf(p.body), m.Layers
	return l, few(what, len(m.Layers))
}

// derivedTag is sha256-<hex>, from which cosign and the referrers fallback of OCI build their tags.
func derivedTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// listing is what a registry says that there is: all that [Client.listed] shares and keeps besides content.
type listing struct {
	where     []string
	manifest  string // digest of the manifest that describes the layers, where one does
	described []manifest.Descriptor
}

// cost estimates the memory that a listing holds; 1 KiB is what an empty one takes with its key.
func (l *listing) cost() int64 {
	n := int64(1 << 10)
	for _, d := range l.described {
		n += int64(len(d.MediaType)+len(d.ArtifactType)+len(d.Digest)) + 256
		for k, v := range d.Annotations {
			n += int64(len(k)+len(v)) + 64
		}
	}
	return n
}

// list reads the listing of a storage and then what it lists. The second step runs on the caller's own context, so
// that a deadline costs the caller what is late and not what is there.
func (c *Client) list(ctx context.Context, cred Credentials, ref string, at Place, storage Storage,
	follow func(context.Context, Reference, *listing, evidence) ([]Layer, error),
) (List, error) {
	r, k, l, err := c.listed(ctx, cred, ref, at, storage)
	if err != nil {
		return List{}, err
	}
	e := newEvidence(string(storage))
	layers, err := follow(ctx, r, l, e)
	c.content.Shorten(k, l, holds(layers, err))
	if err != nil {
		return List{}, err
	}
	return List{Digest: e.sum(), Layers: layers, Where: slices.Clone(l.where)}, nil
}

// listed reads the listing of a storage about the digest reference ref, which is shared and kept under k. r is ref's
// digest in the place.
func (c *Client) listed(ctx context.Context, cred Credentials, ref string, at Place, storage Storage) (r Reference, k memo.Key, l *listing, err error) {
	image, err := pinned(cred, ref, string(storage))
	if err != nil {
		return r, k, nil, err
	}
	r = at.of(image)
	k = memo.Key{Tenant: cred.ID, Call: string(storage), About: r.Name}
	read := c.referring
	if suffix, tag := map[Storage]string{SignatureTag: ".sig", AttestationTag: ".att"}[storage]; tag {
		name := at.tagPrefix + derivedTag(r.Digest) + suffix
		k.About = r.at(name)
		read = func(ctx context.Context, cred Credentials, r Reference) (*listing, error) {
			return c.tagged(ctx, cred, r, name)
		}
	}
	l, err = memo.Shared[*listing](ctx, &c.flights, c.content, k, func(ctx context.Context) (memo.Answer, error) {
		l, err := read(ctx, cred, r)
		if err != nil {
			return memo.Answer{}, err
		}
		return memo.Answer{Value: l, Cost: l.cost(), TTL: c.listTTL}, nil
	})
	return r, k, l, err
}

// pinned reads a reference that must have a digest. what is asked for, for the message.
func pinned(cred Credentials, ref, what string) (Reference, error) {
	if err := cred.check(); err != nil {
		return Reference{}, err
	}
	r, err := Parse(ref)
	if err == nil && r.Digest == "" {
		err = edge.Refuse(Malformed, "%s of %s: got a tag, want a digest", what, r.Name)
	}
	return r, err
}

// holds answers for how long a listing may be kept that led to layers: not at all where asking again may help, and
// briefly where only the registry's owner can. Errors themselves are never kept.
func holds(layers []Layer, err error) time.Duration {
	if err != nil {
		return 0
	}
	ttl := memo.Forever
	if len(layers) == 0 {
		ttl = emptyTTL
	}
	for _, l := range layers {
		switch {
		case l.Err == nil:
		case l.Err.Code.Transient():
			return 0
		default:
			ttl = emptyTTL
		}
	}
	return ttl
}

// layers fetches what ds describe.
func (c *Client) layers(ctx context.Context, cred Credentials, r Reference, what string, ds []manifest.Descriptor) []Layer {
	layers := make([]Layer, len(ds))
	for i, p := range c.fetch(ctx, cred, r, what, "blobs", c.maxBlob, ds) {
		layers[i] = layerOf(ds[i], p)
	}
	return layers
}

func layerOf(d manifest.Descriptor, p piece) Layer {
	return Layer{MediaType: d.MediaType, Digest: d.Digest, Annotations: maps.Clone(d.Annotations), Content: p.content, Err: p.err}
}

// few refuses more layers or referrers than are read.
func few(what string, n int) error {
	if n > MaxLayers {
		return edge.Refuse(TooLarge, "%s: got %d layers or referrers, want at most %d", what, n, MaxLayers)
	}
	return nil
}

// evidence hashes what a list consists of; each part has its length before it, so that no two lists are written
// alike.
type evidence struct{ h hash.Hash }

func newEvidence(call string) evidence {
	e := evidence{h: sha256.New()}
	e.part("assay evidence 2 " + call)
	return e
}

func (e evidence) part(s string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(s)))
	e.h.Write(n[:])
	e.h.Write([]byte(s))
}

// add writes a manifest, by its digest, and its layers.
func (e evidence) add(manifest string, layers []Layer) {
	e.part(manifest)
	for _, l := range layers {
		e.part(l.Digest)
		code := Code("")
		if l.Err != nil {
			code = l.Err.Code
		}
		e.part(string(code))
	}
}

func (e evidence) sum() string { return "sha256:" + hex.EncodeToString(e.h.Sum(nil)) }
