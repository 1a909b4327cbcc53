package oci

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/layers"
	"github.com/assay-dev/assay/builtins/oci/manifest"
	"github.com/assay-dev/assay/builtins/oci/memo"
	"github.com/assay-dev/assay/builtins/oci/registries"
)

// emptyTTL is for how long "there is no evidence" holds: short, because a signature often arrives moments after its
// image.
const emptyTTL = 2 * time.Second

// Option changes a default of [New].
type Option func(*options) error

type options struct {
	guard       edge.Guard
	inner       http.RoundTripper // instead of the network
	roots       *x509.CertPool
	registries  *registries.Config
	now         func() time.Time
	timeout     time.Duration
	listTTL     time.Duration
	tagTTL      time.Duration
	maxBlob     int64
	maxManifest int64
	maxEvidence int64
	maxInFlight int64
	cacheBytes  int64
	concurrency int
	maxImage    int64
	unpacking   layers.Limits
	heard       func(Code)
}

func defaults() options {
	return options{
		now:         time.Now,
		timeout:     30 * time.Second, // the longest that the API server waits for a webhook
		listTTL:     10 * time.Second,
		tagTTL:      time.Second,
		maxBlob:     32 << 20,
		maxManifest: 4 << 20, // as registries limit it
		maxEvidence: 64 << 20,
		maxInFlight: 256 << 20,
		cacheBytes:  64 << 20,
		concurrency: 16,
		maxImage:    512 << 20,
		unpacking:   layers.Defaults(),
	}
}

// WithPrivateRegistries allows loopback and private addresses (RFC 1918, unique local, carrier-grade NAT). Link-local,
// multicast and unspecified addresses and those of metadata services stay refused. A registry that is written as
// 127.0.0.1, [::1] or an RFC 1918 address, as localhost with a port, or as a name below .localhost, is asked over plain
// HTTP, credentials included, where it does not answer over TLS. Every other one is asked over TLS alone, whatever
// address its name leads to and however its name begins (10.0.0.1.example.com).
func WithPrivateRegistries() Option {
	return func(o *options) error { o.guard.Private = true; return nil }
}

// WithRootCAs replaces the system's certificate authorities.
func WithRootCAs(roots *x509.CertPool) Option {
	return func(o *options) error { o.roots = roots; return nil }
}

// WithRegistries says of single registries what package registries knows to say.
func WithRegistries(config *registries.Config) Option {
	return func(o *options) error { o.registries = config; return nil }
}

// WithTransport takes the place of the network, for tests and tools that have the registries at hand: nothing is dialled,
// and whatever the transport does not answer is unreachable. Redirects and token realms meet the guard all the same.
func WithTransport(inner http.RoundTripper) Option {
	return func(o *options) error { o.inner = inner; return nil }
}

// WithClock replaces time.Now for everything that expires.
func WithClock(now func() time.Time) Option {
	return func(o *options) error { o.now = now; return nil }
}

// WithTimeout bounds each shared fetch, whose context is nobody's. The default is 30 s.
func WithTimeout(d time.Duration) Option {
	return positive("timeout", int64(d), func(o *options) { o.timeout = d })
}

// WithListTTL sets for how long a list of signatures, attestations or bundles holds; one that is empty, or of which a
// layer cannot be had, holds 2 s at most, and one of which a layer may be had next time does not hold.
// The default is 10 s; 0 is not at all.
func WithListTTL(d time.Duration) Option {
	return func(o *options) error { o.listTTL = d; return nil }
}

// WithTagTTL sets for how long a tag names its digest. The default is 1 s; 0 is not at all.
func WithTagTTL(d time.Duration) Option {
	return func(o *options) error { o.tagTTL = d; return nil }
}

// WithMaxBlob bounds the bytes of one signature, attestation or bundle. The default is 32 MiB.
func WithMaxBlob(bytes int64) Option {
	return positive("blob bound", bytes, func(o *options) { o.maxBlob = bytes })
}

// WithMaxManifest bounds the bytes of a manifest and of a page of referrers. The default is 4 MiB.
func WithMaxManifest(bytes int64) Option {
	return positive("manifest bound", bytes, func(o *options) { o.maxManifest = bytes })
}

// WithMaxEvidence bounds the bytes of all layers of one list together; those that do not fit beside the ones before
// them are refused. The default is 64 MiB.
func WithMaxEvidence(bytes int64) Option {
	return positive("evidence bound", bytes, func(o *options) { o.maxEvidence = bytes })
}

// WithMaxInFlight bounds the bytes of all bodies that are being read at one time, for all callers together. Whoever
// comes too late waits. The default is 256 MiB.
func WithMaxInFlight(bytes int64) Option {
	return positive("bound in flight", bytes, func(o *options) { o.maxInFlight = bytes })
}

// WithBlobCache bounds the memory for what was read. The default is 64 MiB; 0 keeps nothing.
func WithBlobCache(bytes int64) Option {
	return func(o *options) error { o.cacheBytes = bytes; return nil }
}

// WithConcurrency bounds the requests under way to one registry. The default is 16.
func WithConcurrency(perRegistry int) Option {
	return positive("concurrency", int64(perRegistry), func(o *options) { o.concurrency = perRegistry })
}

// WithMaxImage bounds the bytes of all layers of an image out of which files are read, as the registry has them. The
// default is 512 MiB.
func WithMaxImage(bytes int64) Option {
	return positive("image bound", bytes, func(o *options) { o.maxImage = bytes })
}

// WithUnpacking bounds what the layers of such an image are once they are decompressed.
func WithUnpacking(limits layers.Limits) Option {
	return func(o *options) error { o.unpacking = limits; return nil }
}

// WithHeard has each answer to a request told, those to pings and for tokens included: its code, and none for one that
// is no refusal. heard must not wait.
func WithHeard(heard func(Code)) Option {
	return func(o *options) error { o.heard = heard; return nil }
}

func positive(what string, n int64, set func(*options)) Option {
	return func(o *options) error {
		if n <= 0 {
			return fmt.Errorf("%s: got %d, want more than 0", what, n)
		}
		set(o)
		return nil
	}
}

// Client reads from registries. It is safe for concurrent use; make one and keep it.
type Client struct {
	options
	network   *registries.Network // nil where inner takes its place
	flights   memo.Flights
	slots     slots
	flying    flying
	content   *memo.Cache // bytes by digest, and listings; costs are bytes
	names     *memo.Cache // sessions and tags; each costs 1
	unpackers *semaphore.Weighted
}

// New returns a Client with the defaults that each option names.
func New(opts ...Option) (*Client, error) {
	c := &Client{options: defaults()}
	for _, opt := range opts {
		if err := opt(&c.options); err != nil {
			return nil, err
		}
	}
	var err error
	if c.content, err = memo.NewCache(c.cacheBytes, c.now); err != nil {
		return nil, err
	}
	if c.names, err = memo.NewCache(maxNames, c.now); err != nil {
		return nil, err
	}
	if c.inner == nil {
		c.network = c.registries.Network(edge.Pool{Guard: c.guard, Roots: c.roots, Concurrency: c.concurrency}, c.now)
	}
	c.flights.Timeout = c.timeout
	c.flying = flying{most: c.maxInFlight, free: semaphore.NewWeighted(c.maxInFlight)}
	c.unpackers = semaphore.NewWeighted(maxUnpackers)
	c.slots = slots{each: int64(c.concurrency), of: map[string]*slot{}}
	return c, nil
}

// Resolve answers which digest ref names. It is the only reader of image tags. The digest is computed from the
// manifest's bytes, whatever a header says. A reference with a digest answers itself, without a request.
func (c *Client) Resolve(ctx context.Context, cred Credentials, ref string) (string, error) {
	if err := cred.check(); err != nil {
		return "", err
	}
	r, err := Parse(ref)
	if err != nil {
		return "", err
	}
	if r.Digest != "" {
		return r.Digest, nil
	}
	k := memo.Key{Tenant: cred.ID, Call: "resolve", About: r.Name}
	return memo.Shared[string](ctx, &c.flights, c.names, k, func(ctx context.Context) (memo.Answer, error) {
		p, err := c.get(ctx, cred, r, request{
			path: "manifests/" + r.Tag, accept: manifest.AcceptAny, most: c.maxManifest, what: "manifest " + r.Name,
		})
		if err != nil {
			return memo.Answer{}, err
		}
		if _, err := manifest.Parse("manifest "+r.Name, p.body); err != nil {
			return memo.Answer{}, err
		}
		digest := digestOf(p.body)
		c.keep(cred, digest, p.body) // whoever asks for it by that digest next has it
		return memo.Answer{Value: digest, Cost: 1, TTL: c.tagTTL}, nil
	})
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
