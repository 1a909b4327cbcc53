// Package keys puts into a policy what it only refers to, before it is compiled:
// public keys in Secrets and in a KMS, policies in ConfigMaps and behind URLs.
//
// What cannot be read becomes a gap of the policy, with policy-controller's words
// for the cause: that authority fails, and the policy stays in force (upstream
// drops it, and the image is judged without). What was read once serves until it
// can be read again: a KMS that is down denies nothing that it allowed before.
//
// Only public material leaves this package. A Secret with a private key beside
// the public one gives the public one; a private key alone is an error that
// repeats nothing of it. Every fetch is bounded in time and bytes, and none is
// part of a decision: policies are resolved when they are loaded.
package keys

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-dev/assay/rego/cip"
)

const (
	// fetchTimeout bounds one fetch, and loadTimeout all fetches of one load: a
	// policy set full of dead hosts must not keep the next change waiting.
	fetchTimeout = 10 * time.Second
	loadTimeout  = 30 * time.Second
	// refreshAfter is how often a key is fetched anew: KMS requests cost money, and
	// keys are rotated in months.
	refreshAfter = time.Hour
	// maxStale is how long a key serves that cannot be fetched anew, as long as a
	// trust root does.
	maxStale = 7 * 24 * time.Hour
	// retryFailed is how soon it is tried again where there is nothing that serves.
	retryFailed = 30 * time.Second
	// parallel is how many fetches are under way at one time.
	parallel = 8
)

// KMS fetches the public key that a reference such as awskms:///arn:… names.
type KMS func(ctx context.Context, reference string) (crypto.PublicKey, error)

// Options of a [Resolver]. The zero value fetches keys from the KMS providers of
// this build, and nothing over HTTP.
type Options struct {
	// Transport carries the requests for policies behind URLs. It decides which
	// addresses are dialled; without it there are no requests.
	Transport http.RoundTripper
	// KMS replaces the providers.
	KMS KMS
	// Timeout bounds one fetch. The default is 10 s.
	Timeout time.Duration
	// Now replaces time.Now.
	Now func() time.Time
}

// Sources are what the references of policies find: those of a ClusterImagePolicy what
// [cip.Secret.System] admits, those of an ImagePolicy what says its namespace. Of one name
// there is at most one Secret, and one ConfigMap, of each.
type Sources struct {
	Secrets    []cip.Secret
	ConfigMaps []cip.ConfigMap
	// Owned are those that namespaces of a cluster have. A ClusterImagePolicy finds none of
	// them, whatever its namespace is called.
	Owned Owned
	// Place is where they are from, for messages. Empty, it is the policy files.
	Place string
}

// Owned are Secrets and ConfigMaps that ImagePolicies refer to, each with its namespace.
type Owned struct {
	Secrets    []cip.Secret
	ConfigMaps []cip.ConfigMap
}

// Generation names the content of the Secrets, in their order. ConfigMaps are part
// of the policies they become, and so are the Secrets of namespaces.
func (s Sources) Generation() string {
	sum := sha256.New()
	for _, secret := range s.Secrets {
		_, _ = fmt.Fprintf(sum, "%q %q\n", secret.FullName(), secret.Type) // a hash takes all
		for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
			_, _ = fmt.Fprintf(sum, "%q %q\n", key, secret.Data[key])
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Resolver resolves references and remembers what was behind them. Make one and
// keep it.
type Resolver struct {
	transport http.RoundTripper
	kms       KMS
	timeout   time.Duration
	now       func() time.Time

	slots chan struct{} // full while as many fetches are under way as may be

	mu       sync.Mutex // held during a load: two at once would fetch everything twice
	known    map[reference]*material
	serving  map[reference]bool // what the policies name that serve
	loads    uint64
	named    map[reference]uint64 // by what is known, the last load that named it
	patience time.Duration        // how long a load waits, zero until everything was fetched
	ready    func()               // told when something comes that a load did not wait for
}

// New returns a Resolver that knows nothing yet.
func New(o Options) *Resolver {
	r := &Resolver{transport: o.Transport, kms: o.KMS, timeout: cmp.Or(o.Timeout, fetchTimeout), now: o.Now, known: map[reference]*material{}, named: map[reference]uint64{}, slots: make(chan struct{}, parallel)}
	if r.kms == nil {
		r.kms = providers()
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

// WaitNoLonger has later loads wait for what is fetched no longer than that: a host that answers slowly
// holds up no change of other policies. What comes later ready is told of, from a goroutine of its own,
// and the next load has it. Until then what served serves, and what is new is a gap.
func (r *Resolver) WaitNoLonger(than time.Duration, ready func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patience, r.ready = than, ready
}

// Beside is a Resolver for policies that do not serve: it knows what this one knows now. What it
// waits for holds up nobody, so that it waits for everything, and it forgets nothing of this one's.
func (r *Resolver) Beside() *Resolver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &Resolver{transport: r.transport, kms: r.kms, timeout: r.timeout, now: r.now, known: maps.Clone(r.known), named: map[reference]uint64{}, slots: make(chan struct{}, parallel)}
}

// Serves says which policies serve, as they were given to [Resolver.Resolve]. What they name is
// remembered until others serve, whatever is loaded meanwhile and refused.
func (r *Resolver) Serves(policies []cip.Policy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serving = referred(policies)
}

// Resolve returns the policies with everything they refer to in place. None has a
// secretRef, kms, configMapRef or remote left; [cip.Policy.Gaps] says what could
// not be read. Warnings name what serves although it could not be refreshed. The
// policies given stay as they are.
//
// It waits for the network, for half a minute at most and never longer than ctx, or as long as
// [Resolver.WaitNoLonger] says.
func (r *Resolver) Resolve(ctx context.Context, policies []cip.Policy, sources Sources) (resolved []cip.Policy, warnings []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := referred(policies)
	for _, p := range policies {
		resolved = append(resolved, clone(p))
	}
	r.load(ctx, wanted)
	f := newFiller(r, sources)
	for i := range resolved {
		f.fill(&resolved[i])
	}
	return resolved, r.stale(wanted)
}

// referred is what policies name. For those of a namespace nothing is asked.
func referred(policies []cip.Policy) map[reference]bool {
	out := map[reference]bool{}
	for i := range policies {
		if policies[i].Namespace != "" {
			continue
		}
		visit(&policies[i], func(_ string, k *cip.KeyRef) {
			if k.KMS != "" {
				out[reference{kms: k.KMS}] = true
			}
		}, func(_ string, ref *cip.PolicyRef) {
			if ref.Remote != nil {
				out[remoteReference(ref.Remote)] = true
			}
		})
	}
	return out
}

// load fetches what is due, everything once. It forgets what neither serves nor was named by
// this load or the one before, which may be about to serve: whether this one will, nobody knows yet.
func (r *Resolver) load(ctx context.Context, wanted map[reference]bool) {
	r.loads++
	for ref := range wanted {
		r.named[ref] = r.loads
	}
	for ref := range r.known {
		if !r.serving[ref] && r.named[ref]+1 < r.loads {
			delete(r.known, ref)
			delete(r.named, ref)
		}
	}
	due := map[reference]*material{}
	for ref := range wanted {
		m := r.known[ref]
		if m == nil {
			m = &material{}
			r.known[ref] = m
		}
		if content, ok := r.bySum(ref.sum); ok { // of a reference that may be forgotten before this one
			m.take(r.now(), content, nil)
		} else if m.due(r.now()) && m.begin() {
			due[ref] = m
		}
	}
	if len(due) > 0 {
		r.fetchAll(ctx, due)
	}
}

// fetchAll fetches materials that were begun. What is not there in time comes in the background.
func (r *Resolver) fetchAll(ctx context.Context, due map[reference]*material) {
	if r.patience > 0 {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	var fetching sync.WaitGroup
	var late atomic.Bool
	ready := r.ready
	for ref, m := range due {
		fetching.Go(func() {
			if r.fetchOne(ctx, ref, m); late.Load() {
				ready()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer cancel()
		fetching.Wait()
		close(done)
	}()
	if r.patience == 0 {
		<-done
		return
	}
	over := time.NewTimer(r.patience)
	defer over.Stop()
	select {
	case <-done:
	case <-over.C:
		late.Store(true) // what came before, whoever fills the policies finds
	}
}

// fetchOne fetches when it is its turn. The cause of a failure is kept with what it is about.
func (r *Resolver) fetchOne(ctx context.Context, ref reference, m *material) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done(): // fetch says so
	}
	content, err := r.fetch(ctx, ref)
	m.take(r.now(), content, err)
}

// bySum is the policy with that digest, known from any URL: the same digest is the same
// content, for ever.
func (r *Resolver) bySum(sum string) (string, bool) {
	if sum == "" {
		return "", false
	}
	for ref, m := range r.known {
		if content := m.read(); ref.sum == sum && content != "" {
			return content, true
		}
	}
	return "", false
}

// content answers what is behind a reference that was loaded.
func (r *Resolver) content(ref reference) (string, error) {
	if content, ok := r.bySum(ref.sum); ok {
		return content, nil
	}
	m := r.known[ref]
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.content == "" {
		return "", fmt.Errorf("%s", cmp.Or(m.cause, ref.String()+": not fetched yet"))
	}
	if cause := m.ended(r.now()); cause != "" {
		return "", errors.New(cause)
	}
	return m.content, nil
}

// stale says what of that serves although the last refresh failed.
func (r *Resolver) stale(wanted map[reference]bool) (lines []string) {
	for ref := range wanted {
		m := r.known[ref]
		m.mu.Lock()
		if m.content != "" && m.cause != "" && m.ended(r.now()) == "" {
			lines = append(lines, m.cause+"; the last good key serves")
		}
		m.mu.Unlock()
	}
	slices.Sort(lines)
	return lines
}
