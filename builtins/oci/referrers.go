package oci

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
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
	found, where, err := c.referrers(ctx, cred, r)
	// The same digest may be listed with several sizes, of which one is right.
	slices.SortFunc(found, func(a, b manifest.Descriptor) int {
		return cmp.Or(cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Size, b.Size))
	})
	found = slices.CompactFunc(found, func(a, b manifest.Descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size })
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

// referrers lists the referrers of r that may be bundles, and where it looked.
func (c *Client) referrers(ctx context.Context, cred Credentials, r Reference) (found []manifest.Descriptor, where []string, err error) {
	what := "referrers of " + r.Name
	where = []string{what}
	req := request{path: "referrers/" + r.Digest, accept: manifest.AcceptIndex, most: c.maxManifest, what: what}
	for n := range maxPages {
		p, err := c.get(ctx, cred, r, req)
		if n == 0 && (unsupported(err) || err == nil && !isIndex(p.header)) {
			where = append(where, r.at(derivedTag(r.Digest)))
			found, err = c.fallback(ctx, cred, r)
			return found, where, err
		}
		if err != nil {
			return nil, nil, err
		}
		if found, err = appendCandidates(found, what, p.body); err != nil {
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
func (c *Client) fallback(ctx context.Context, cred Credentials, r Reference) ([]manifest.Descriptor, error) {
	tag := derivedTag(r.Digest)
	what := "manifest " + r.at(tag)
	p, err := c.get(ctx, cred, r, request{path: "manifests/" + tag, accept: manifest.AcceptIndex, most: c.maxManifest, what: what})
	if errors.Is(err, NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return appendCandidates(nil, what, p.body)
}

func appendCandidates(found []manifest.Descriptor, what string, body []byte) ([]manifest.Descriptor, error) {
	m, err := manifest.ParseIndex(what, body)
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		if d.MayBeBundle() {
			found = append(found, d)
		}
	}
	if len(found) > MaxLayers {
		return nil, edge.Refuse(TooLarge, "%s: got %d bundles or more, want at most %d", what, len(found), MaxLayers)
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
