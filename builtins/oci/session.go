package oci

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/semaphore"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/memo"
)

const (
	// sessionTTL bounds for how long credentials stay in use that their keychain may have replaced.
	sessionTTL = 5 * time.Minute
	// tokenAge is the least that a token lives (60 s by the token specification) halved: a session younger than
	// that which gets a 401 has the wrong credentials, an older one may only have an old token.
	tokenAge = 30 * time.Second
	// maxNames bounds how many sessions, and how many tags, are remembered.
	maxNames = 4096
)

// Credentials are a tenant's. ID names the tenant and must change with what Keychain would answer: all that was
// obtained with one ID is served to every caller with that ID, and to no other. The zero value is anonymous.
type Credentials struct {
	ID       string
	Keychain authn.Keychain
}

func (cred Credentials) check() error {
	if cred.ID == "" && cred.Keychain != nil {
		return edge.Refuse(Malformed, "credentials: got a keychain without an ID, want the ID of its tenant")
	}
	return nil
}

// get reads r in the repository of ref.
func (c *Client) get(ctx context.Context, cred Credentials, ref Reference, r request) (p page, err error) {
	err = c.ask(ctx, cred, ref, r.what, func(s *session) error {
		p, err = s.read(ctx, r)
		return err
	})
	return p, err
}

// ask asks something in the repository of ref; what names it. An expired token costs one more try with a new session;
// nothing else is tried twice.
func (c *Client) ask(ctx context.Context, cred Credentials, ref Reference, what string, of func(*session) error) error {
	s, err := c.session(ctx, cred, ref)
	if err != nil {
		return err
	}
	err = c.slotted(ctx, s, what, of)
	if !errors.Is(err, edge.Status(http.StatusUnauthorized)) {
		return err
	}
	c.names.Drop(sessionKey(cred, ref), s)
	if c.now().Sub(s.begun) < tokenAge {
		return err
	}
	if s, err = c.session(ctx, cred, ref); err != nil {
		return err
	}
	return c.slotted(ctx, s, what, of)
}

func (c *Client) slotted(ctx context.Context, s *session, what string, of func(*session) error) error {
	release, err := c.slots.acquire(ctx, s.repo.RegistryStr())
	if err != nil {
		return edge.Refusal(what, err)
	}
	defer release()
	return of(s)
}

func sessionKey(cred Credentials, ref Reference) memo.Key {
	return memo.Key{Tenant: cred.ID, Call: "session", About: ref.Registry + "/" + ref.Repository}
}

// session returns the way to the repository of ref, beginning it where there is none: a ping, and a token where the
// registry asks for one.
func (c *Client) session(ctx context.Context, cred Credentials, ref Reference) (*session, error) {
	return memo.Shared[*session](ctx, &c.flights, c.names, sessionKey(cred, ref), func(ctx context.Context) (memo.Answer, error) {
		repo, err := ref.repository(c.registries.Plain(ref.Registry))
		if err != nil {
			return memo.Answer{}, edge.AsError("repository "+ref.Repository, err)
		}
		release, err := c.slots.acquire(ctx, repo.RegistryStr())
		if err != nil {
			return memo.Answer{}, edge.Refusal("registry "+ref.Registry, err)
		}
		defer release()
		s, err := c.begin(ctx, cred, repo)
		return memo.Answer{Value: s, Cost: 1, TTL: sessionTTL}, err
	})
}

func (c *Client) begin(ctx context.Context, cred Credentials, repo name.Repository) (*session, error) {
	what := "registry " + repo.RegistryStr()
	auth := authn.Anonymous
	if cred.Keychain != nil {
		var err error
		if auth, err = authn.Resolve(ctx, cred.Keychain, repo); err != nil {
			return nil, edge.WithoutCredentials(what, err)
		}
	}
	network := c.inner
	if network == nil {
		network = c.network.Over(repo.RegistryStr())
	}
	e := edge.NewSession(edge.Heard(network, c.heard), c.guard).Home(repo.RegistryStr(), auth)
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, e, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		r := edge.Refusal(what, err)
		if r.Code == NotFound { // of a ping or a token: there is no registry here, which says nothing about an image
			r.Code = Unreachable
		}
		return nil, r
	}
	e.Begin()
	client := &http.Client{Transport: rt, CheckRedirect: edge.LimitRedirects}
	return &session{repo: repo, client: client, begun: c.now(), flying: c.flying}, nil
}

// slots bounds the requests under way per registry. A registry that nobody talks to takes no memory.
type slots struct {
	each int64

	mu sync.Mutex
	of map[string]*slot
}

type slot struct {
	free  *semaphore.Weighted
	users int
}

func (s *slots) acquire(ctx context.Context, registry string) (release func(), err error) {
	s.mu.Lock()
	one := s.of[registry]
	if one == nil {
		one = &slot{free: semaphore.NewWeighted(s.each)}
		s.of[registry] = one
	}
	one.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(s.of, registry)
		}
	}
	if err := one.free.Acquire(ctx, 1); err != nil {
		leave()
		return nil, err
	}
	return func() { one.free.Release(1); leave() }, nil
}
