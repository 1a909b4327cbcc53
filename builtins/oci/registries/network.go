package registries

import (
	"context"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

const (
	// restTime is for how long a mirror is not asked that could not be reached: without it each
	// piece of content would wait for it anew.
	restTime = 10 * time.Second
	// patience is what a mirror has where nobody says how long there is.
	patience = 5 * time.Second
)

// Network is the way to registries. It is safe for concurrent use.
type Network struct {
	config *Config
	now    func() time.Time
	others http.RoundTripper
	pools  map[string]pools

	mu      sync.Mutex
	resting map[mirror]time.Time
}

// pools are the connections to a registry that there is an entry for.
type pools struct {
	plain bool
	own   http.RoundTripper // where the registry itself is asked
	led   http.RoundTripper // where another one led to it
}

// Network is the way that goes by the configuration; pool is how all other hosts are reached.
func (c *Config) Network(pool edge.Pool, now func() time.Time) *Network {
	n := &Network{config: c, now: now, others: pool.Transport(), pools: map[string]pools{}, resting: map[mirror]time.Time{}}
	if c == nil {
		return n
	}
	for host, e := range c.entries {
		p := pools{plain: e.plain, led: n.others}
		if e.roots != nil {
			pool := pool
			pool.Roots = e.roots
			p.led = pool.Transport()
		}
		if p.own = p.led; e.certificate != nil {
			pool := pool
			pool.Certificate = e.certificate
			if e.roots != nil {
				pool.Roots = e.roots
			}
			p.own = pool.Transport()
		}
		n.pools[host] = p
	}
	return n
}

// Over is the way of a session with a registry.
func (n *Network) Over(registry string) http.RoundTripper {
	return session{network: n, registry: withoutPort(registry)}
}

type session struct {
	network  *Network
	registry string
}

// RoundTrip implements http.RoundTripper.
func (s session) RoundTrip(request *http.Request) (*http.Response, error) {
	host := withoutPort(request.URL.Host)
	p, listed := s.network.pools[host]
	if request.URL.Scheme != "https" && !p.plain && (listed || !edge.Near(host)) {
		return nil, edge.Refuse(edge.ForbiddenHost, "host %s: got plain http, want https", host)
	}
	switch {
	case !listed:
		return s.network.others.RoundTrip(request)
	case host == s.registry:
		return p.own.RoundTrip(request)
	}
	return p.led.RoundTrip(request)
}

// Mirrored asks the mirrors of a repository, one after the other, and reports whether one
// answered; if not, the origin is to be asked. ask must believe nothing that does not have
// the digest it asks for. Each has half of the time that is left, and one that cannot be
// reached is left in peace for a while.
func (n *Network) Mirrored(ctx context.Context, registry, repository string, ask func(ctx context.Context, registry, repository string) error) bool {
	if n == nil || n.config == nil {
		return false
	}
	for _, m := range n.config.entries[withoutPort(registry)].mirrors {
		if n.rests(m) {
			continue
		}
		err := half(ctx, func(ctx context.Context) error { return ask(ctx, m.host, path.Join(m.prefix, repository)) })
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false // which is not the mirror's fault
		case edge.AsError("mirror", err).Code.Transient() && edge.AsError("mirror", err).Code != edge.Unauthorized:
			n.rest(m)
		}
	}
	return false
}

func half(ctx context.Context, of func(context.Context) error) error {
	left := patience
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end) / 2
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return of(ctx)
}

func (n *Network) rests(m mirror) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now().Before(n.resting[m])
}

func (n *Network) rest(m mirror) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resting[m] = n.now().Add(restTime)
}
