package oci

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// MaxLayers bounds the layers of one list, and the bundles among the referrers of one image. An authority tries at
// most 50 signatures; whoever attached more is told so before the first is fetched.
const MaxLayers = 50

// List is the evidence that a registry holds about one image. It is a claim: nothing in it has been verified but
// that the content of each layer has the layer's digest.
type List struct {
	// Digest is a SHA-256 over all of the evidence: the bytes of the manifests, annotations included, and the
	// digests of the layers. The same evidence has the same Digest, in whatever order a registry lists it.
	Digest string
	Layers []Layer
	Where  []string // the references that were looked at, for messages
}

// Layer is one piece of evidence. Annotations are the caller's own; Content is shared and must not be written to.
type Layer struct {
	MediaType   string
	Digest      string
	Annotations map[string]string
	Content     []byte
}

func (l List) clone() List {
	l.Where = slices.Clone(l.Where)
	l.Layers = slices.Clone(l.Layers)
	for i := range l.Layers {
		l.Layers[i].Annotations = maps.Clone(l.Layers[i].Annotations)
	}
	return l
}

// cost estimates the memory that a list holds; 1 KiB is what an empty one takes with its key.
func (l List) cost() int64 {
	n := int64(1 << 10)
	for _, layer := range l.Layers {
		n += int64(len(layer.Content)) + 256
		for k, v := range layer.Annotations {
			n += int64(len(k) + len(v))
		}
	}
	return n
}

// Signatures reads what cosign keeps under the tag sha256-<hex>.sig of the digest reference ref. Where that tag is
// missing the list is empty.
func (c *Client) Signatures(ctx context.Context, cred Credentials, ref string) (List, error) {
	return c.list(ctx, cred, ref, "signatures", func(ctx context.Context, r Reference) (List, error) {
		return c.attached(ctx, cred, r, "sig")
	})
}

// Attestations reads what cosign keeps under the tag sha256-<hex>.att of the digest reference ref. Where that tag is
// missing the list is empty.
func (c *Client) Attestations(ctx context.Context, cred Credentials, ref string) (List, error) {
	return c.list(ctx, cred, ref, "attestations", func(ctx context.Context, r Reference) (List, error) {
		return c.attached(ctx, cred, r, "att")
	})
}

// list shares and keeps what read answers about the digest reference ref.
func (c *Client) list(ctx context.Context, cred Credentials, ref, call string, read func(context.Context, Reference) (List, error)) (List, error) {
	if err := cred.check(); err != nil {
		return List{}, err
	}
	r, err := Parse(ref)
	if err != nil {
		return List{}, err
	}
	if r.Digest == "" {
		return List{}, refuse(Malformed, "%s of %s: got a tag, want a digest", call, r.Name)
	}
	k := key{tenant: cred.ID, call: call, about: r.Name}
	l, err := shared[List](ctx, &c.sharing, c.content, k, func(ctx context.Context) (answer, error) {
		l, err := read(ctx, r)
		return answer{value: l, cost: l.cost(), ttl: c.holds(l)}, err
	})
	return l.clone(), err
}

func (c *Client) holds(l List) time.Duration {
	if len(l.Layers) == 0 {
		return min(c.listTTL, emptyTTL)
	}
	return c.listTTL
}

// attached reads the image manifest under the tag that cosign derives from r's digest.
func (c *Client) attached(ctx context.Context, cred Credentials, r Reference, suffix string) (List, error) {
	tag := derivedTag(r.Digest) + "." + suffix
	l := List{Where: []string{r.at(tag)}}
	what := "manifest " + r.at(tag)
	e := newEvidence(suffix)
	p, err := c.get(ctx, cred, r, request{path: "manifests/" + tag, accept: acceptImage, most: c.maxManifest, what: what})
	if errors.Is(err, NotFound) {
		l.Digest = e.sum()
		return l, nil
	}
	if err != nil {
		return List{}, err
	}
	m, err := parseImage(what, p.body)
	if err != nil {
		return List{}, err
	}
	if l.Layers, err = c.layers(ctx, cred, r, what, m.Layers); err != nil {
		return List{}, err
	}
	e.add(p.body, m.Layers)
	l.Digest = e.sum()
	return l, nil
}

// derivedTag is sha256-<hex>, from which cosign and the referrers fallback of OCI build their tags.
func derivedTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// layers fetches what ds describe, all at once, after having checked all of them.
func (c *Client) layers(ctx context.Context, cred Credentials, r Reference, what string, ds []descriptor) ([]Layer, error) {
	if err := c.check(what, ds, c.maxBlob); err != nil {
		return nil, err
	}
	layers := make([]Layer, len(ds))
	group, ctx := errgroup.WithContext(ctx)
	for i, d := range ds {
		group.Go(func() error {
			content, err := c.verified(ctx, cred, r, d, "blobs")
			layers[i] = d.layer(content)
			return err
		})
	}
	return layers, group.Wait()
}

// check refuses descriptors that must not be followed, alone or all together.
func (c *Client) check(what string, ds []descriptor, most int64) error {
	if len(ds) > MaxLayers {
		return refuse(TooLarge, "%s: got %d layers or referrers, want at most %d", what, len(ds), MaxLayers)
	}
	total := int64(0)
	for _, d := range ds {
		if err := d.check(what, most); err != nil {
			return err
		}
		if total += d.Size; total > c.maxEvidence {
			return refuse(TooLarge, "%s: got more than %d bytes in all", what, c.maxEvidence)
		}
	}
	return nil
}

// verified reads what d describes, from memory where the same credentials led to it before. A fetch is shared only
// within its repository: a registry that hangs must not hold up another one that has the same blob.
func (c *Client) verified(ctx context.Context, cred Credentials, r Reference, d descriptor, kind string) ([]byte, error) {
	path := kind + "/" + d.Digest
	at := r.Registry + "/" + r.Repository + "/" + path
	byDigest := key{tenant: cred.ID, call: "content", about: d.Digest}
	if b, ok := c.content.get(byDigest); ok && int64(len(b.([]byte))) == d.Size {
		return b.([]byte), nil
	}
	flight := key{tenant: cred.ID, call: fmt.Sprintf("fetch %d", d.Size), about: at}
	return shared[[]byte](ctx, &c.sharing, c.content, flight, func(ctx context.Context) (answer, error) {
		p, err := c.get(ctx, cred, r, request{path: path, accept: acceptFor(kind), most: d.Size, exact: true, what: at})
		if err != nil {
			return answer{}, err
		}
		if got := digestOf(p.body); got != d.Digest {
			return answer{}, refuse(DigestMismatch, "%s: got bytes with digest %s", at, got)
		}
		body := slices.Clip(p.body)
		c.content.put(byDigest, answer{value: body, cost: int64(len(body)) + 1<<10, ttl: forever})
		return answer{value: body}, nil
	})
}

func acceptFor(kind string) string {
	if kind == "manifests" {
		return acceptImage
	}
	return ""
}

// evidence hashes what a list consists of; each part has its length before it, so that no two lists are written
// alike.
type evidence struct{ h hash.Hash }

func newEvidence(kind string) evidence {
	e := evidence{h: sha256.New()}
	e.part([]byte("assay evidence 1 " + kind))
	return e
}

func (e evidence) part(b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	e.h.Write(n[:])
	e.h.Write(b)
}

func (e evidence) add(manifest []byte, layers []descriptor) {
	e.part(manifest)
	for _, d := range layers {
		e.part([]byte(d.Digest))
	}
}

func (e evidence) sum() string { return "sha256:" + hex.EncodeToString(e.h.Sum(nil)) }
