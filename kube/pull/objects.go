package pull

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
)

const (
	// Lives is how long what was read serves: a changed Secret counts after that.
	Lives = 10 * time.Second
	// AbsentLives is how long it serves that there is nothing: a Secret is often made a
	// moment after the workload that names it.
	AbsentLives = 2 * time.Second

	// timeout bounds one request, whoever waits for it: half of what a decision has.
	timeout = 5 * time.Second
	// mostBytes bounds what is kept, and overhead is what an object takes besides its data.
	mostBytes = 16 << 20
	overhead  = 1 << 10
	// mostEntries are looked at in the imagePullSecrets of a ServiceAccount: enough to be
	// refused by, where they differ.
	mostEntries = 1000
)

// object is what is kept of a Secret or of a ServiceAccount.
type object struct {
	absent      bool
	secret      *Secret  // of a Secret
	pullSecrets []string // of a ServiceAccount
}

// objects are those that were read.
type objects struct {
	client  *kube.Client
	now     func() time.Time
	flights singleflight.Group
	turns   turns

	mu   sync.Mutex
	lru  *simplelru.LRU[key, kept]
	cost int
}

type kept struct {
	object
	until time.Time
	cost  int
}

func newObjects(client *kube.Client, now func() time.Time) (*objects, error) {
	o := &objects{client: client, now: now}
	lru, err := simplelru.NewLRU(math.MaxInt32, func(_ key, k kept) { o.cost -= k.cost })
	o.lru = lru
	return o, err
}

// known gives what was read and still serves.
func (o *objects) known(k key) (object, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.lru.Get(k)
	if ok && !o.now().Before(e.until) {
		o.lru.Remove(k)
		return object{}, false
	}
	return e.object, ok
}

func (o *objects) keep(k key, found object) {
	e := kept{object: found, until: o.now().Add(Lives), cost: overhead}
	if found.absent {
		e.until = o.now().Add(AbsentLives)
	}
	e.cost += found.secret.size()
	for _, name := range found.pullSecrets {
		e.cost += len(name)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lru.Remove(k)
	o.lru.Add(k, e)
	o.cost += e.cost
	for o.cost > mostBytes {
		o.lru.RemoveOldest()
	}
}

// get reads an object. All who want it at the same time share one request, which runs on a
// context of its own: who leaves early leaves alone.
func (o *objects) get(ctx context.Context, k key) (object, error) {
	if found, ok := o.known(k); ok {
		return found, nil
	}
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	flight := o.flights.DoChan(k.String(), func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return o.fetch(own, k)
	})
	select {
	case <-ctx.Done():
		return object{}, ctx.Err()
	case r := <-flight:
		if r.Err != nil {
			return object{}, r.Err
		}
		return r.Val.(object), nil
	}
}

func (o *objects) fetch(ctx context.Context, k key) (found object, err error) {
	// A panic here would be nobody's: the flight is not of any request.
	defer func() {
		if cause := recover(); cause != nil {
			err = &Error{Code: Malformed, Message: fmt.Sprintf("%s %q: reading it panicked", k.resource.Resource, k.name)}
		}
	}()
	done, err := o.turns.take(ctx, k.namespace)
	if err != nil {
		return found, refusal(ctx, k, err)
	}
	defer done()
	read, err := o.client.Resource(k.resource).Namespace(k.namespace).Get(ctx, k.name, metav1.GetOptions{})
	switch {
	case isAbsent(err):
		found.absent, err = true, nil
	case err != nil:
		return found, refusal(ctx, k, err)
	case read.GetNamespace() != k.namespace || read.GetName() != k.name:
		return found, &Error{Code: Malformed, Message: fmt.Sprintf("%s %q: got another object", k.resource.Resource, k.name)}
	case k.resource == kube.ServiceAccounts():
		found, err = accountOf(read)
	default:
		found, err = secretOf(read)
	}
	if err != nil {
		return object{}, err
	}
	o.keep(k, found)
	return found, nil
}

// isAbsent says whether the API server knows that there is no such object. A 404 of
// something else on the way proves nothing.
func isAbsent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// secretOf reads a Secret: of its data the docker configuration alone.
func secretOf(read *unstructured.Unstructured) (object, error) {
	malformed := func(what string) (object, error) {
		return object{}, &Error{Code: Malformed, Message: fmt.Sprintf("secret %q: %s", read.GetName(), what)}
	}
	of, _, err := unstructured.NestedString(read.Object, "type")
	if err != nil {
		return malformed("type: got no text")
	}
	data, _, err := unstructured.NestedFieldNoCopy(read.Object, "data")
	entries, ok := data.(map[string]any)
	if err != nil || data != nil && !ok {
		return malformed("data: got no object")
	}
	out := &Secret{Namespace: read.GetNamespace(), Name: read.GetName(), Type: of, Data: map[string][]byte{}}
	for _, name := range []string{".dockerconfigjson", ".dockercfg"} {
		entry, has := entries[name]
		if !has {
			continue
		}
		text, ok := entry.(string)
		content, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil {
			return malformed(name + ": got no base64")
		}
		out.Data[name] = content
	}
	return object{secret: out}, nil
}

// accountOf reads the imagePullSecrets of a ServiceAccount.
func accountOf(read *unstructured.Unstructured) (object, error) {
	list, _, err := unstructured.NestedFieldNoCopy(read.Object, "imagePullSecrets")
	entries, ok := list.([]any)
	if err != nil || list != nil && !ok {
		return object{}, &Error{Code: Malformed, Message: fmt.Sprintf("serviceaccount %q: imagePullSecrets: got no list", read.GetName())}
	}
	out := object{}
	for _, entry := range entries[:min(len(entries), mostEntries)] {
		of, _ := entry.(map[string]any)
		if name, ok := of["name"].(string); ok {
			out.pullSecrets = append(out.pullSecrets, name)
		}
	}
	return out, nil
}
