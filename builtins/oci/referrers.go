package oci

import (
	"cmp"
	"context"
	"errors"
	"math"
	"mime"
	"net/http"
	"slices"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
	"github.com/assay-dev/assay/builtins/oci/memo"
)

// maxPages bounds a listing of referrers. Registries page by hundreds, and 50 bundles are read at most.
const maxPages = 8

// Bundles reads the Sigstore bundles among the referrers of the digest reference ref, from the referrers API of
// OCI 1.1 or, where the registry has none, from the index under the fallback tag sha256-<hex>; both in the place at.
// Its tag prefix is of no account: a referrer has no tag, and the fallback's is OCI's. Where there are no bundles the
// list is empty. Layers come in the order of their manifests' digests; a referrer whose manifest cannot be had is one
// Layer with an Err, as nobody can say whether it was a bundle.
func (c *Client) Bundles(ctx context.Context, cred Credentials, ref string, at Place) (List, error) {
	return c.list(ctx, cred, ref, at, Referrers, func(ctx context.Context, r Reference, l *listing, e evidence) ([]Layer, error) {
		return c.bundles(ctx, cred, r, l.described, e)
	})
}

// referring lists the referrers of r, each once.
func (c *Client) referring(ctx context.Context, cred Credentials, r Reference) (*listing, error) {
	found, where, err := c.referrers(ctx, cred, r, candidates{
		kind: "bundles", are: manifest.Descriptor.MayBeBundle, most: MaxLayers,
	})
	return &listing{where: where, described: found}, err
}

// bundles reads the referrers that may be bundles, then the layers of those that are. The manifests have half of the
// caller's time: one that hangs must leave time for what the others describe.
func (c *Client) bundles(ctx context.Context, cred Credentials, r Reference, found []manifest.Descriptor, e evidence) ([]Layer, error) {
	what := "referrers of " + r.Name
	half, cancel := firstHalf(ctx)
	defer cancel()
	var described []manifest.Descriptor
	of := make([]referrer, len(found))
	total := 0
	for i, p := range c.fetch(half, cred, r, what, "manifests", c.maxManifest, found) {
		of[i] = describedBy(found[i], r, p)
		described = append(described, of[i].layers...)
		if total += len(of[i].layers); of[i].err != nil {
			total++
		}
	}
	if err := few(what, total); err != nil {
		return nil, err
	}
	fetched := c.layers(ctx, cred, r, what, described)
	var layers []Layer
	for i, d := range found {
		n := len(of[i].layers)
		switch {
		case of[i].err != nil:
			broken := []Layer{{MediaType: d.MediaType, Digest: d.Digest, Err: of[i].err}}
			e.add("", broken)
			layers = append(layers, broken...)
		case n > 0:
			e.add(d.Digest, fetched[:n])
			layers = append(layers, fetched[:n]...)
			fetched = fetched[n:]
		}
	}
	return layers, nil
}

// referrer is the bundles that one referrer describes, or why that cannot be known.
type referrer struct {
	layers []manifest.Descriptor
	err    *Error
}

func describedBy(d manifest.Descriptor, r Reference, p piece) referrer {
	if p.err != nil {
		return referrer{err: p.err}
	}
	what := "manifest " + r.at(d.Digest)
	m, err := manifest.ParseImage(what, p.content)
	if err != nil {
		return referrer{err: edge.AsError(what, err)}
	}
	return referrer{layers: slices.DeleteFunc(m.Layers, func(d manifest.Descriptor) bool { return !manifest.IsBundle(d.MediaType) })}
}

// candidates are the referrers that are wanted.
type candidates struct {
	kind string
	are  func(manifest.Descriptor) bool
	most int
}

// referrers lists the referrers of r that are wanted, each once, and where it looked.
func (c *Client) referrers(ctx context.Context, cred Credentials, r Reference, wanted candidates) (found []manifest.Descriptor, where []string, err error) {
	found, where, err = c.listing(ctx, cred, r, wanted)
	// The same digest may be listed with several sizes, of which one is right.
	slices.SortFunc(found, func(a, b manifest.Descriptor) int {
		return cmp.Or(cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Size, b.Size))
	})
	return slices.CompactFunc(found, func(a, b manifest.Descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size }), where, err
}

func (c *Client) listing(ctx context.Context, cred Credentials, r Reference, wanted candidates) (found []manifest.Descriptor, where []string, err error) {
	what := "referrers of " + r.Name
	where = []string{what}
	req := request{path: "referrers/" + r.Digest, accept: manifest.AcceptIndex, most: c.maxManifest, what: what}
	for n := range maxPages {
		p, err := c.get(ctx, cred, r, req)
		if n == 0 && (unsupported(err) || err == nil && !isIndex(p.header)) {
			where = append(where, r.at(derivedTag(r.Digest)))
			found, err = c.fallback(ctx, cred, r, wanted)
			return found, where, err
		}
		if err != nil {
			return nil, nil, err
		}
		if found, err = wanted.appended(found, what, p.body); err != nil {
			return nil, nil, err
		}
		if req.query, err = nextPage(p.header); err != nil {
			return nil, nil, edge.Refusal(what, err)
		}
		if req.query == "" {
			return found, where, nil
		}
	}
	return nil, nil, edge.Refuse(TooLarge, "%s: got more than %d pages", what, maxPages)
}

// fallback reads the index that clients keep for registries without the referrers API.
func (c *Client) fallback(ctx context.Context, cred Credentials, r Reference, wanted candidates) ([]manifest.Descriptor, error) {
	tag := derivedTag(r.Digest)
	what := "manifest " + r.at(tag)
	p, err := c.get(ctx, cred, r, request{path: "manifests/" + tag, accept: manifest.AcceptIndex, most: c.maxManifest, what: what})
	if errors.Is(err, NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return wanted.appended(nil, what, p.body)
}

func (w candidates) appended(found []manifest.Descriptor, what string, body []byte) ([]manifest.Descriptor, error) {
	m, err := manifest.ParseIndex(what, body)
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		if w.are(d) {
			found = append(found, d)
		}
	}
	if len(found) > w.most {
		return nil, edge.Refuse(TooLarge, "%s: got %d %s or more, want at most %d", what, len(found), w.kind, w.most)
	}
	return found, nil
}

// unsupported reports whether err is how registries answer that they know no referrers API.
func unsupported(err error) bool {
	var s edge.Status
	return errors.As(err, &s) && slices.Contains([]edge.Status{
		http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
	}, s)
}

func isIndex(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == manifest.AcceptIndex
}

const (
	// maxReferrers bounds a listing that is read to be looked at.
	maxReferrers = 500
	// maxReferrersValue bounds its bytes, of which annotations are most.
	maxReferrersValue = 1 << 20
)

// Referrer is one manifest that says of itself that it is about an image. It is a claim, and so are its annotations.
type Referrer struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
	Ref          string            `json:"ref"` // in the repository of the image
}

// Referrers lists all referrers of the digest reference ref, from where [Client.Bundles] looks for them, in the order
// of their digests. It holds as long as other listings do. It must not be written to.
func (c *Client) Referrers(ctx context.Context, cred Credentials, ref string) ([]Referrer, error) {
	r, err := pinned(cred, ref, "referrers")
	if err != nil {
		return nil, err
	}
	k := memo.Key{Tenant: cred.ID, Call: "referrers", About: r.Name}
	return memo.Shared[[]Referrer](ctx, &c.flights, c.content, k, func(ctx context.Context) (memo.Answer, error) {
		found, _, err := c.referrers(ctx, cred, r, candidates{
			kind: "referrers", are: func(manifest.Descriptor) bool { return true }, most: maxReferrers,
		})
		if err != nil {
			return memo.Answer{}, err
		}
		what, out, l := "referrers of "+r.Name, []Referrer{}, listing{described: found}
		if l.cost() > maxReferrersValue {
			return memo.Answer{}, edge.Refuse(TooLarge, "%s: got more than %d bytes", what, maxReferrersValue)
		}
		for _, d := range found {
			// How large it is says the descriptor: nothing is read here.
			if err := d.Check(what, math.MaxInt64); err != nil {
				return memo.Answer{}, err
			}
			if d.Annotations == nil {
				d.Annotations = map[string]string{}
			}
			out = append(out, Referrer{d.MediaType, d.ArtifactType, d.Digest, d.Size, d.Annotations, r.at(d.Digest)})
		}
		ttl := c.listTTL
		if len(out) == 0 {
			ttl = min(ttl, emptyTTL)
		}
		return memo.Answer{Value: out, Cost: l.cost(), TTL: ttl}, nil
	})
}
