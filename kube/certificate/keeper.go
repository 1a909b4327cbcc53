// Package certificate keeps the webhooks reachable without anybody who issues certificates:
// a CA of our own, a certificate of it that every replica serves, and the caBundle of our
// webhook configurations, by which API servers trust it.
//
// All of it is in one Secret, [SecretName] in the namespace of the installation. Every
// replica watches it and serves what it holds ([Keeper.Watch], [Keeper.Certificate]); the
// one that leads writes it, and caBundle ([Keeper.Run]). A CA is replaced in three steps
// with pauses between them, so that at no time an API server refuses what a replica serves:
// see plan. Every write names the version that it is based on, so of two leaders one fails.
//
// A Secret that is not ours, or that cannot be read, is left as it is. What was served and
// trusted before stays, and [Keeper.Problems] says why. Of webhook configurations only
// those are touched that the caller names, and of those only caBundle.
//
// Where another issues the certificate, [Trust] keeps caBundle in step with a file.
package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
)

// SecretName is what policy-controller calls the Secret of its certificate (OP-7).
const SecretName = "webhook-certs"

// What durations are unless they are given. A leaf lives as long as policy-controller's.
const (
	defaultAuthority = 365 * 24 * time.Hour
	defaultLeaf      = 7 * 24 * time.Hour
	defaultLag       = 10 * time.Minute
)

// Options are what a Keeper needs to know.
type Options struct {
	// Service is the name of the Service that the webhooks are behind, in the namespace of
	// the installation. Required.
	Service string
	// Configurations are those of our webhooks.
	Configurations Configurations
	// Authority is how long a CA lives, 0 for a year, and Leaf how long a certificate does,
	// 0 for a week. Both are renewed after two thirds of it.
	Authority, Leaf time.Duration
	// Lag is how long it may take until all API servers use what a configuration says, and
	// all replicas what the Secret holds; 0 for ten minutes. It is waited for twice while a
	// CA is replaced.
	Lag time.Duration
}

// Configurations are names of webhook configurations. Of the name of one that is in Either
// there is a validating one, a mutating one, or both.
type Configurations struct{ Validating, Mutating, Either []string }

// Keeper keeps the certificate of one installation.
type Keeper struct {
	client  *kube.Client
	log     *slog.Logger
	secrets dynamic.ResourceInterface
	what    string // names the Secret in messages
	watched *watch.One
	names   []string // of the certificate, the one that API servers ask for first
	of      Configurations
	terms   terms
	woken   chan struct{} // when something was seen
	leading atomic.Pointer[leader]

	lock sync.Mutex
	seen seen
	last *state // that could be read
}

// seen is the Secret as it is now.
type seen struct {
	listed       bool   // whether it was asked for
	version, uid string // empty if there is none
	// refused is why it holds no state, [errEmpty] if it may be written.
	refused error
	since   time.Time // of refused
	served  time.Time // since when it has held this leaf
}

// New returns a Keeper that has seen nothing yet.
func New(client *kube.Client, options Options, log *slog.Logger) (*Keeper, error) {
	t := terms{authority: defaultAuthority, leaf: defaultLeaf, lag: defaultLag}
	for _, given := range []struct {
		name string
		from time.Duration
		to   *time.Duration
	}{{"authority", options.Authority, &t.authority}, {"leaf", options.Leaf, &t.leaf}, {"lag", options.Lag, &t.lag}} {
		if given.from < 0 {
			return nil, fmt.Errorf("certificate: %s: got %v, want a positive duration", given.name, given.from)
		}
		if given.from > 0 {
			*given.to = given.from
		}
	}
	if options.Service == "" {
		return nil, errors.New("certificate: got no service, want its name")
	}
	if t.authority < 12*t.lag {
		// A third of its life is left when a CA is replaced, and two lags are waited for.
		return nil, fmt.Errorf("certificate: authority: got %v, want at least 12 times the lag of %v", t.authority, t.lag)
	}
	host := options.Service + "." + client.Namespace
	k := &Keeper{
		client: client, log: log, of: options.Configurations, terms: t, woken: make(chan struct{}, 1),
		secrets: client.Resource(kube.Secrets()).Namespace(client.Namespace),
		what:    "Secret " + client.Namespace + "/" + SecretName,
		names:   []string{host + ".svc", host + ".svc.cluster.local", host, options.Service},
	}
	k.watched = watch.NewOne(k.secrets, k.what, SecretName, log)
	return k, nil
}

// Watch watches the Secret until ctx ends. It is for every replica.
func (k *Keeper) Watch(ctx context.Context) {
	k.watched.Run(ctx, func(secret *unstructured.Unstructured) {
		k.take(secret, time.Now())
		wake(k.woken)
	})
}

// take takes in what the Secret is now.
func (k *Keeper) take(secret *unstructured.Unstructured, now time.Time) {
	k.lock.Lock()
	defer k.lock.Unlock()
	before := k.seen
	k.seen = seen{listed: true, refused: errEmpty, since: now}
	var found *state
	if secret != nil {
		k.seen.version, k.seen.uid = secret.GetResourceVersion(), string(secret.GetUID())
		found, k.seen.refused = read(secret, k.names[0])
	}
	if err := k.seen.refused; err != nil {
		if before.refused != nil && before.refused.Error() == err.Error() {
			k.seen.since = before.since
			return
		}
		k.log.Warn("certificate: cannot be read", "what", k.what, "cause", err, "serving", k.last != nil)
		return
	}
	k.seen.served = now
	if sameLeaf(k.last, found) {
		if !before.served.IsZero() {
			k.seen.served = before.served
		}
		found.leaf = k.last.leaf // whoever compares pointers sees no other certificate
	} else {
		k.log.Info("certificate: serving", "what", k.what, "expires", found.leaf.Leaf.NotAfter)
	}
	k.last = found
}

// Certificate is what to serve: what the Secret holds, or last held while it could be
// read. It is the same pointer until that is another certificate, and has its Leaf.
func (k *Keeper) Certificate() (*tls.Certificate, error) {
	k.lock.Lock()
	defer k.lock.Unlock()
	switch {
	case k.last != nil:
		return k.last.leaf, nil
	case k.seen.listed:
		return nil, fmt.Errorf("%s: %w", k.what, k.seen.refused)
	}
	for _, problem := range k.watched.Problems() {
		return nil, errors.New(problem.String())
	}
	return nil, fmt.Errorf("%s: not read yet", k.what)
}

// Problems are what is not as it should be, and since when. What is served goes on.
func (k *Keeper) Problems() []watch.Problem {
	out := k.watched.Problems()
	k.lock.Lock()
	defer k.lock.Unlock()
	if k.seen.refused != nil {
		out = append(out, watch.Problem{What: k.what, Since: k.seen.since, Cause: k.seen.refused.Error()})
	}
	if k.last != nil {
		// Halfway between when it was due and its end.
		overdue := due(k.last.leaf.Leaf, k.terms.leaf/2)
		if end := k.last.leaf.Leaf.NotAfter; time.Now().After(overdue) {
			out = append(out, watch.Problem{What: k.what, Since: overdue, Cause: "tls.crt: nobody renews it, and it expires " + end.UTC().Format(time.RFC3339)})
		}
	}
	if l := k.leading.Load(); l != nil {
		out = append(out, l.problems()...)
	}
	return out
}

// view is what is known of the Secret.
func (k *Keeper) view() (seen, view) {
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.seen, view{state: k.last, absent: errors.Is(k.seen.refused, errEmpty), served: k.seen.served}
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake
	}
}
