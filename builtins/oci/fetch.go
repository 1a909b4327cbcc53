package oci

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
	"github.com/assay-dev/assay/builtins/oci/memo"
)

// piece is the content that one descriptor names, or why it could not be had.
type piece struct {
	content []byte
	err     *Error
}

// fetch reads what ds describe, all at once, each for itself: none waits for another or fails with it. kind is
// "blobs" or "manifests".
func (c *Client) fetch(ctx context.Context, cred Credentials, r Reference, what, kind string, most int64, ds []manifest.Descriptor) []piece {
	pieces := make([]piece, len(ds))
	refused := c.admit(what, ds, most)
	var wait sync.WaitGroup
	for i, d := range ds {
		if refused[i] != nil {
			pieces[i].err = refused[i]
			continue
		}
		wait.Go(func() {
			content, err := c.verified(ctx, cred, r, d, kind)
			if err != nil {
				pieces[i].err = edge.AsError(what, err)
				return
			}
			pieces[i].content = content
		})
	}
	wait.Wait()
	return pieces
}

// admit answers for each descriptor why it must not be followed: for itself, or because it does not fit beside those
// before it.
func (c *Client) admit(what string, ds []manifest.Descriptor, most int64) []*Error {
	refused := make([]*Error, len(ds))
	left := c.maxEvidence
	for i, d := range ds {
		if refused[i] = d.Check(what, min(most, c.maxInFlight)); refused[i] != nil {
			continue
		}
		if d.Size > left {
			refused[i] = edge.Refuse(TooLarge, "%s: got more than %d bytes in all", what, c.maxEvidence)
			continue
		}
		left -= d.Size
	}
	return refused
}

// verified reads what d describes, from memory where the same credentials led to it before. A fetch is shared only
// within its repository: a registry that hangs must not hold up another one that has the same blob.
func (c *Client) verified(ctx context.Context, cred Credentials, r Reference, d manifest.Descriptor, kind string) ([]byte, error) {
	path := kind + "/" + d.Digest
	at := r.Registry + "/" + r.Repository + "/" + path
	if b, ok := c.kept(cred, d.Digest); ok && int64(len(b)) == d.Size {
		return b, nil
	}
	flight := memo.Key{Tenant: cred.ID, Call: fmt.Sprintf("fetch %d", d.Size), About: at}
	return memo.Shared[[]byte](ctx, &c.flights, c.content, flight, func(ctx context.Context) (memo.Answer, error) {
		body, err := c.getDigest(ctx, cred, r, d.Digest, request{path: path, accept: acceptFor(kind), most: d.Size, exact: true, what: at})
		if err != nil {
			return memo.Answer{}, err
		}
		return memo.Answer{Value: c.keep(cred, d.Digest, body)}, nil
	})
}

// getDigest reads the content of a digest: from a mirror of r that has it, or else from r. A mirror is asked with the
// credentials that name it, if there are any, and never with those of r.
func (c *Client) getDigest(ctx context.Context, cred Credentials, r Reference, digest string, q request) (body []byte, err error) {
	if c.network.Mirrored(ctx, r.Registry, r.Repository, func(ctx context.Context, registry, repository string) error {
		body, err = c.digestAt(ctx, cred, Reference{Registry: registry, Repository: repository}, digest, q)
		return err
	}) {
		return body, nil
	}
	return c.digestAt(ctx, cred, r, digest, q)
}

// digestAt reads the content of a digest, and refuses any other.
func (c *Client) digestAt(ctx context.Context, cred Credentials, r Reference, digest string, q request) ([]byte, error) {
	p, err := c.get(ctx, cred, r, q)
	if err != nil {
		return nil, err
	}
	if got := digestOf(p.body); got != digest {
		return nil, edge.Refuse(DigestMismatch, "%s: got bytes with digest %s", q.what, got)
	}
	return p.body, nil
}

// kept is the content of a digest that the same credentials led to before.
func (c *Client) kept(cred Credentials, digest string) ([]byte, bool) {
	b, ok := c.content.Get(memo.Key{Tenant: cred.ID, Call: "content", About: digest})
	if !ok {
		return nil, false
	}
	return b.([]byte), true
}

// keep remembers content whose digest was computed, for whoever comes with the same credentials.
func (c *Client) keep(cred Credentials, digest string, body []byte) []byte {
	body = slices.Clip(body)
	c.content.Put(memo.Key{Tenant: cred.ID, Call: "content", About: digest},
		memo.Answer{Value: body, Cost: int64(len(body)) + 1<<10, TTL: memo.Forever})
	return body
}

func acceptFor(kind string) string {
	if kind == "manifests" {
		return manifest.AcceptAny
	}
	return ""
}

// firstHalf leaves half of the time that ctx has for what comes after.
func firstHalf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// small is the part of all bytes in flight up to which a body does not queue, 256 KiB of 256 MiB: signatures and
// manifests are read while somebody's registry holds up everything large. How many there are at a time is bounded by
// the slots of each registry.
const small = 1024

// flying bounds the bytes of all bodies that are being read, whoever wants them from whichever registry. What was
// read is bounded by who holds it: the cache, and each caller by [WithMaxEvidence].
type flying struct {
	most int64
	free *semaphore.Weighted
}

func (f flying) acquire(ctx context.Context, what string, bytes int64) (release func(), err error) {
	if bytes <= f.most/small {
		return func() {}, nil
	}
	if bytes > f.most {
		return nil, edge.Refuse(TooLarge, "%s: got %d bytes, want at most the %d that are read at one time", what, bytes, f.most)
	}
	if err := f.free.Acquire(ctx, bytes); err != nil {
		return nil, edge.Refusal(what, err)
	}
	return func() { f.free.Release(bytes) }, nil
}
