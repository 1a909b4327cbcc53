package oci

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"
)

// maxPages bounds a listing of referrers. Registries page by hundreds, and 50 bundles are read at most.
const maxPages = 8

// Bundles reads the Sigstore bundles among the referrers of the digest reference ref, from the referrers API of
// OCI 1.1 or, where the registry has none, from the index under the fallback tag sha256-<hex>. Where there are none
// the list is empty. Layers come in the order of their manifests' digests.
func (c *Client) Bundles(ctx context.Context, cred Credentials, ref string) (List, error) {
	return c.list(ctx, cred, ref, "bundles", func(ctx context.Context, r Reference) (List, error) {
		found, where, err := c.referrers(ctx, cred, r)
		if err != nil {
			return List{}, err
		}
		l, err := c.bundles(ctx, cred, r, found)
		l.Where = where
		return l, err
	})
}

// bundles reads the referrers that may be bundles, then the layers of those that are.
func (c *Client) bundles(ctx context.Context, cred Credentials, r Reference, found []descriptor) (List, error) {
	what := "referrers of " + r.Name
	slices.SortFunc(found, func(a, b descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	found = slices.CompactFunc(found, func(a, b descriptor) bool { return a.Digest == b.Digest })
	bodies, err := c.manifests(ctx, cred, r, what, found)
	if err != nil {
		return List{}, err
	}
	e := newEvidence("bundles")
	var all []descriptor
	for i, body := range bodies {
		m, err := parseImage("manifest "+r.at(found[i].Digest), body)
		if err != nil {
			return List{}, err
		}
		m.Layers = slices.DeleteFunc(m.Layers, func(d descriptor) bool { return !isBundle(d.MediaType) })
		if len(m.Layers) > 0 {
			e.add(body, m.Layers)
			all = append(all, m.Layers...)
		}
	}
	layers, err := c.layers(ctx, cred, r, what, all)
	return List{Digest: e.sum(), Layers: layers}, err
}

func (c *Client) manifests(ctx context.Context, cred Credentials, r Reference, what string, ds []descriptor) ([][]byte, error) {
	if err := c.check(what, ds, c.maxManifest); err != nil {
		return nil, err
	}
	bodies := make([][]byte, len(ds))
	group, ctx := errgroup.WithContext(ctx)
	for i, d := range ds {
		group.Go(func() (err error) {
			bodies[i], err = c.verified(ctx, cred, r, d, "manifests")
			return err
		})
	}
	return bodies, group.Wait()
}

// referrers lists the referrers of r that may be bundles, and where it looked.
func (c *Client) referrers(ctx context.Context, cred Credentials, r Reference) (found []descriptor, where []string, err error) {
	what := "referrers of " + r.Name
	where = []string{r.Name}
	req := request{path: "referrers/" + r.Digest, accept: acceptIndex, most: c.maxManifest, what: what}
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
			return nil, nil, refusal(what, err)
		}
		if req.query == "" {
			return found, where, nil
		}
	}
	return nil, nil, refuse(TooLarge, "%s: got more than %d pages", what, maxPages)
}

// fallback reads the index that clients keep for registries without the referrers API.
func (c *Client) fallback(ctx context.Context, cred Credentials, r Reference) ([]descriptor, error) {
	tag := derivedTag(r.Digest)
	what := "manifest " + r.at(tag)
	p, err := c.get(ctx, cred, r, request{path: "manifests/" + tag, accept: acceptIndex, most: c.maxManifest, what: what})
	if errors.Is(err, NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return appendCandidates(nil, what, p.body)
}

func appendCandidates(found []descriptor, what string, body []byte) ([]descriptor, error) {
	m, err := parseIndex(what, body)
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		if d.mayBeBundle() {
			found = append(found, d)
		}
	}
	if len(found) > MaxLayers {
		return nil, refuse(TooLarge, "%s: got %d bundles or more, want at most %d", what, len(found), MaxLayers)
	}
	return found, nil
}

// unsupported reports whether err is how registries answer that they know no referrers API.
func unsupported(err error) bool {
	var s status
	return errors.As(err, &s) && slices.Contains([]status{
		http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
	}, s)
}

func isIndex(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == acceptIndex
}
