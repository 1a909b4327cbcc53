// Package lease elects the one replica that writes: a Lease of coordination.k8s.io is held
// by whoever wrote its name into it last.
//
// Every write goes over the version that was read, so of two contenders one fails. A lease
// is taken from a holder only after it was not seen to change for longer than the holder
// leads without renewing, each by its own clock. A machine that sleeps while it leads is
// not told so by its clock: what a leader writes has to carry the version that it read.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/assay-dev/assay/kube"
)

// microTime is how Leases write instants.
const microTime = metav1.RFC3339Micro

// Lease is one contender for a Lease.
type Lease struct {
	resource dynamic.ResourceInterface
	name     string
	log      *slog.Logger
	elector  elector
	leading  atomic.Bool
	cause    string // of the last failure, so that it is said once
}

// New returns a contender for the Lease of that name in the namespace of the installation.
// identity is for people; what tells contenders apart is added to it.
func New(client *kube.Client, name, identity string, log *slog.Logger) *Lease {
	var unique [8]byte
	_, _ = rand.Read(unique[:]) // never fails
	return &Lease{
		resource: client.Resource(kube.Leases()).Namespace(client.Namespace), name: name, log: log,
		elector: elector{identity: identity + "_" + hex.EncodeToString(unique[:]), terms: upstream()},
	}
}

// Leading says whether this contender leads.
func (l *Lease) Leading() bool { return l.leading.Load() }

// Run contends until ctx ends. Whenever the Lease is ours it calls leading, with a context
// that ends when it may not be ours any longer; leading has to return soon after, and is
// waited for. When ctx ends the Lease is given back.
func (l *Lease) Run(ctx context.Context, leading func(ctx context.Context)) {
	for ctx.Err() == nil {
		if l.attempt(ctx) {
			l.lead(ctx, leading)
			continue
		}
		pause(ctx, l.elector.terms.Retry)
	}
}

// lead holds the Lease for as long as it can be renewed.
func (l *Lease) lead(ctx context.Context, leading func(ctx context.Context)) {
	inOffice, stop := context.WithCancel(ctx)
	defer stop()
	expiry := time.AfterFunc(time.Until(l.elector.until()), stop)
	defer expiry.Stop()
	l.leading.Store(true)
	l.log.Info("lease: leading", "lease", l.name, "identity", l.elector.identity)
	done := make(chan struct{})
	go func() {
		defer close(done)
		leading(inOffice)
	}()
	for inOffice.Err() == nil {
		pause(inOffice, l.elector.terms.Retry)
		if inOffice.Err() != nil {
			break
		}
		switch {
		case l.attempt(inOffice):
			if !expiry.Reset(time.Until(l.elector.until())) {
				stop() // it had expired meanwhile
			}
		case !l.elector.leads(time.Now()): // another has it
			stop()
		}
	}
	stop()
	<-done
	l.leading.Store(false)
	l.elector.resign()
	l.log.Info("lease: no longer leading", "lease", l.name, "identity", l.elector.identity)
	if ctx.Err() != nil {
		l.release(context.WithoutCancel(ctx))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// attempt reads the Lease and, where it may, writes it. It says whether it did.
func (l *Lease) attempt(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.elector.terms.Renew/2)
	defer cancel()
	object, err := l.resource.Get(ctx, l.name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return l.failed("get", err)
	}
	now := time.Now()
	if missing {
		object = l.empty()
	}
	l.elector.observe(now, recordOf(object))
	if !l.elector.may(now) {
		return false
	}
	next := l.elector.next(now)
	if err := next.into(object, now); err != nil {
		return l.failed("write", err)
	}
	verb := "update"
	var written *unstructured.Unstructured
	if missing {
		verb = "create"
		written, err = l.resource.Create(ctx, object, metav1.CreateOptions{})
	} else {
		written, err = l.resource.Update(ctx, object, metav1.UpdateOptions{})
	}
	if err != nil {
		return l.failed(verb, err)
	}
	l.elector.wrote(now, time.Now(), recordOf(written))
	l.cause = ""
	return true
}

// failed says what failed, once. That another was faster is no failure.
func (l *Lease) failed(verb string, err error) bool {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false
	}
	if cause := verb + ": " + err.Error(); cause != l.cause {
		l.cause = cause
		l.log.Warn("lease: "+verb, "lease", l.name, "error", err)
	}
	return false
}

// release gives the Lease back, so that nobody has to wait for it to expire. Nobody writes
// for us any longer.
func (l *Lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.elector.terms.Renew/2)
	defer cancel()
	object, err := l.resource.Get(ctx, l.name, metav1.GetOptions{})
	if err != nil {
		l.failed("release", err)
		return
	}
	held := recordOf(object)
	if held.holder != l.elector.identity {
		return
	}
	held.holder, held.duration = "", time.Second
	if err := held.into(object, time.Now()); err != nil {
		l.failed("release", err)
		return
	}
	if _, err := l.resource.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		l.failed("release", err)
	}
}

func (l *Lease) empty() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kube.Leases().GroupVersion().WithKind("Lease"))
	object.SetName(l.name)
	return object
}

// recordOf reads a Lease. What it does not say, or not in its type, is nothing: a holder
// that cannot be read is none.
func recordOf(object *unstructured.Unstructured) record {
	holder, _, _ := unstructured.NestedString(object.Object, "spec", "holderIdentity")
	acquired, _, _ := unstructured.NestedString(object.Object, "spec", "acquireTime")
	seconds, _, _ := unstructured.NestedInt64(object.Object, "spec", "leaseDurationSeconds")
	transitions, _, _ := unstructured.NestedInt64(object.Object, "spec", "leaseTransitions")
	return record{
		version: object.GetResourceVersion(), holder: holder, acquired: acquired,
		duration: time.Duration(min(max(seconds, 0), mostSeconds)) * time.Second, transitions: transitions,
	}
}

// mostSeconds bounds how long a holder is respected: whoever may write the Lease could
// name a thousand years.
const mostSeconds = 60

// into writes the record into a Lease. Its version stays that of the object.
func (r record) into(object *unstructured.Unstructured, now time.Time) error {
	if object.GetResourceVersion() != r.version {
		return fmt.Errorf("got version %s of the lease, want %s", strconv.Quote(object.GetResourceVersion()), strconv.Quote(r.version))
	}
	spec := map[string]any{
		"holderIdentity":       r.holder,
		"leaseDurationSeconds": int64(r.duration / time.Second),
		"leaseTransitions":     r.transitions,
		"renewTime":            now.UTC().Format(microTime),
	}
	if r.acquired != "" {
		spec["acquireTime"] = r.acquired
	}
	return unstructured.SetNestedMap(object.Object, spec, "spec")
}
