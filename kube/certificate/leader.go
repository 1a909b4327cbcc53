package certificate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
)

const (
	// again is how soon is tried what failed.
	again = 10 * time.Second
	// look is how often is looked at the clock, which may be set.
	look = time.Minute
)

// leader is what one who leads knows. It begins to wait anew with each term: nothing is
// known of what others saw, and there is time.
type leader struct {
	*Keeper
	trust   *trusting
	trouble *trouble // with the Secret

	over   string // the version that was written over, until another is seen
	spread spread
}

// spread is since when every configuration has been seen with one bundle.
type spread struct {
	bundle []byte
	since  time.Time
}

// observe takes in whether every configuration was seen with the bundle now.
func (s *spread) observe(bundle []byte, everywhere bool, now time.Time) time.Time {
	if !everywhere {
		*s = spread{}
	} else if s.since.IsZero() || !bytes.Equal(s.bundle, bundle) {
		*s = spread{bundle: bundle, since: now}
	}
	return s.since
}

// Run writes the Secret and caBundle until ctx ends. It is for the replica that leads, and
// needs Watch to run.
func (k *Keeper) Run(ctx context.Context) {
	l := &leader{Keeper: k, trouble: newTrouble(k.log), trust: newTrusting(k.client, k.of, k.woken, k.log)}
	defer l.trust.watch(ctx)()
	k.leading.Store(l)
	defer k.leading.Store(nil)
	for ctx.Err() == nil {
		sleep(ctx, l.turn(ctx), k.woken)
	}
}

// sleep waits until there is something to do.
func sleep(ctx context.Context, most time.Duration, woken <-chan struct{}) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-woken:
	}
}

func (l *leader) problems() []watch.Problem {
	return append(l.trouble.problems(), l.trust.problems()...)
}

// turn does what there is to do, and says how soon to ask again at the latest.
func (l *leader) turn(ctx context.Context) time.Duration {
	now := time.Now()
	seen, v := l.view()
	if !seen.listed {
		return look
	}
	wait := look
	if v.state != nil {
		bundle := v.state.bundle()
		everywhere, done := l.trust.write(ctx, bundle, sync.OnceValue(func() error { return l.unchanged(ctx, seen) }))
		v.spread = l.spread.observe(bundle, everywhere, now)
		if !done {
			wait = again
		}
	}
	if seen.refused != nil && !v.absent {
		l.trouble.note(l.what, nil) // there is nothing to write
		return wait
	}
	s, at := l.terms.plan(v, now)
	switch {
	case s == rest:
		l.trouble.note(l.what, nil)
		return min(wait, max(at.Sub(now), time.Millisecond))
	case l.over == seen.version && l.over != "":
		return wait // it was done, and is to be seen yet
	}
	err := l.step(ctx, s, v.state, seen, now)
	if err == nil {
		l.over = seen.version
		l.log.Info("certificate: "+s.String(), "what", l.what)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil // somebody was faster, and what it is now will be seen
	}
	l.trouble.note(l.what, err)
	return min(wait, again)
}

// step writes the Secret over the version that was seen.
func (l *leader) step(ctx context.Context, s step, from *state, over seen, now time.Time) error {
	next, err := l.terms.apply(s, from, l.names, now)
	if err != nil {
		return err
	}
	data, err := next.data()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	if over.version == "" {
		secret := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
			"metadata": map[string]any{"name": SecretName},
		}}
		_, err = l.secrets.Create(ctx, secret, metav1.CreateOptions{})
		return err
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": over.version, "uid": over.uid}, "data": data,
	})
	if err != nil {
		return err
	}
	_, err = l.secrets.Patch(ctx, SecretName, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

var errChanged = errors.New("the Secret was changed meanwhile")

// unchanged says whether the Secret still is what was seen: what a leader writes into
// configurations who has not seen for long what others did would be of yesterday.
func (l *leader) unchanged(ctx context.Context, seen seen) error {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	found, err := l.secrets.Get(ctx, SecretName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && seen.version == "":
		return nil
	case apierrors.IsNotFound(err):
		return errChanged
	case err != nil:
		return err
	case found.GetResourceVersion() != seen.version:
		return errChanged
	}
	return nil
}
