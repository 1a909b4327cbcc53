// Package cloud has the credentials that the installation's own identity in a cloud gives it for registries of that
// cloud: ECR, Artifact Registry (and gcr.io) and ACR.
//
// What it is for. A [host] that the installation lists by its exact name is asked with a token of the cloud that it
// belongs to. How assay proves who it is (a role of the Pod, a metadata service, a file) is left to the libraries of
// the clouds, which find it in the environment.
//
// What it refuses. A host that is not listed gets no credentials, however much it looks like a listed one: a Pod names
// hosts, and for a name that merely ends like a cloud's a token has been given away before (CVE-2025-27403). A name
// that is no cloud's cannot be listed. Where there is no token there is an error that names cloud and host, and never an
// anonymous request instead.
//
// What it never does. It runs no program, unless the installation's own configuration of a library names one. It sends no token anywhere but to its registry, over TLS: not to a token
// realm on another host, along a redirect or to a mirror ([edge.Homebound]). A token is asked for with the least
// rights that the cloud sells: what else it opens is in docs/threat-model.md.
//
// The libraries reach their metadata services (169.254.169.254 and others) by themselves. The registry edge dials none
// of these addresses, whoever names them.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/memo"
)

const (
	// most bounds the hosts.
	most = 1000
	// margin is how long before it expires a token is replaced. What serves is valid for the request that it is for.
	margin = 2 * time.Minute
	// maxAge is how long a token serves at most: those of ECR would for twelve hours, also after the role lost its rights.
	maxAge = time.Hour
	// restTime is how long a token that could not be replaced serves on before that is tried again.
	restTime = 10 * time.Second
)

var errNotBuiltIn = errors.New("this binary was built without credentials of clouds (build tag nocloud)")

// Options are how tokens are got.
type Options struct {
	// Timeout bounds one attempt. 0 is 5 s: half of a decision's.
	Timeout time.Duration
	// Registry is the guarded way to a registry, over which ACR exchanges tokens. Required for ACR.
	Registry func(host string) http.RoundTripper
	// Failed is told why there was no token. The error may name accounts and roles, so it is for the installation and
	// not for whoever asked. Nil is told nothing.
	Failed func(error)

	now    func() time.Time
	clouds http.RoundTripper // instead of the libraries' own ways; for tests
}

// Credentials are those for listed hosts, and anonymous ones for all others. No hosts are anonymous credentials.
func Credentials(hosts []string, o Options) (oci.Credentials, error) {
	if len(hosts) == 0 {
		return oci.Credentials{}, nil
	}
	if len(hosts) > most {
		return oci.Credentials{}, fmt.Errorf("got %d hosts, want at most %d", len(hosts), most)
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	k := &keychain{options: o, hosts: map[string]host{}, last: map[string]token{}}
	k.flights.Timeout = o.Timeout
	var err error
	if k.tokens, err = memo.NewCache(most, o.now); err != nil {
		return oci.Credentials{}, err
	}
	sources := o.sources()
	if sources == nil {
		return oci.Credentials{}, errNotBuiltIn
	}
	for _, written := range hosts {
		h, ok := parse(written)
		if !ok {
			return oci.Credentials{}, fmt.Errorf("got %.100q, want the host of a registry of ECR, Artifact Registry or ACR, in lower case and without a port", written)
		}
		if h.cloud == ACR && o.Registry == nil {
			return oci.Credentials{}, fmt.Errorf("got %s, want a way to it over which tokens are exchanged", h.name)
		}
		h.source = sources[h.cloud]
		k.hosts[h.name] = h
	}
	names := slices.Sorted(maps.Keys(k.hosts))
	return oci.Credentials{ID: fmt.Sprintf("clouds %q", names), Keychain: k}, nil
}

// token is what a registry is asked with.
type token struct {
	auth    authn.AuthConfig
	expires time.Time
}

// source gets a token for a host of its cloud.
type source func(context.Context, host) (token, error)

// keychain has the tokens of the hosts that are listed.
type keychain struct {
	options Options
	hosts   map[string]host
	flights memo.Flights
	tokens  *memo.Cache

	mu   sync.Mutex
	last map[string]token // by host, for when there is no new one
}

var (
	_ authn.Keychain        = (*keychain)(nil)
	_ authn.ContextKeychain = (*keychain)(nil)
	_ edge.Homebound        = bound{}
)

// Resolve implements authn.Keychain.
func (k *keychain) Resolve(of authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), of)
}

// ResolveContext implements authn.ContextKeychain. All who need the token of one registry at the same time share one
// attempt to get it.
func (k *keychain) ResolveContext(ctx context.Context, of authn.Resource) (authn.Authenticator, error) {
	h, listed := k.hosts[of.RegistryStr()]
	if !listed {
		return authn.Anonymous, nil
	}
	key := memo.Key{Tenant: h.name, Call: "token", About: "credentials of " + string(h.cloud)}
	got, err := memo.Shared[token](ctx, &k.flights, k.tokens, key, func(ctx context.Context) (memo.Answer, error) {
		return k.fetch(ctx, h)
	})
	if err != nil {
		return nil, err
	}
	return bound{got.auth}, nil
}

// fetch gets a new token. Where the cloud cannot be asked the one before serves, as long as it is valid; where it
// refuses, the one before is forgotten: a role that lost its rights has none, whatever it was given earlier.
func (k *keychain) fetch(ctx context.Context, h host) (memo.Answer, error) {
	got, err := h.source(ctx, h)
	now := k.options.now()
	if err == nil && got.auth == (authn.AuthConfig{}) {
		err = errNoToken
	}
	if err != nil {
		failure := h.failure(ctx, err)
		if k.options.Failed != nil {
			k.options.Failed(failure)
		}
		last, left := k.kept(h, now)
		if !slices.Contains([]edge.Code{edge.Timeout, edge.Unreachable, edge.RateLimited}, failure.Code) {
			k.forget(h)
			left = 0
		}
		if left <= 0 {
			return memo.Answer{}, failure.refusal()
		}
		return memo.Answer{Value: last, Cost: 1, TTL: min(left, restTime)}, nil
	}
	if got.expires.IsZero() { // nobody says how long it is good: it is for what it was got for
		k.forget(h)
		return memo.Answer{Value: got, Cost: 1}, nil
	}
	k.mu.Lock()
	k.last[h.name] = got
	k.mu.Unlock()
	return memo.Answer{Value: got, Cost: 1, TTL: min(got.expires.Sub(now)-margin, maxAge)}, nil
}

func (k *keychain) forget(h host) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.last, h.name)
}

// kept is the token before, and for how long it is good. Half the margin is for what is asked with it.
func (k *keychain) kept(h host, now time.Time) (token, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last, ok := k.last[h.name]
	if !ok {
		return token{}, 0
	}
	return last, last.expires.Sub(now) - margin/2
}

// bound is a token that stays with its registry.
type bound struct{ auth authn.AuthConfig }

// Authorization implements authn.Authenticator.
func (b bound) Authorization() (*authn.AuthConfig, error) { return &b.auth, nil }

// Homebound implements [edge.Homebound].
func (bound) Homebound() {}
