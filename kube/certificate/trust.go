package certificate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
)

// Who else writes caBundle is overruled this often at once, and then once in so many
// seconds: two that both know better must not keep the API server busy.
const (
	overrules     = 10
	overruleEvery = 10
)

var (
	errNone   = errors.New("there is none")
	errFought = errors.New("caBundle: somebody else writes it again and again")
)

// trusting keeps caBundle of configurations.
type trusting struct {
	trouble *trouble
	of      []*configuration
	woken   chan<- struct{} // when one was seen
}

// configuration is one of ours.
type configuration struct {
	what, name string
	resource   dynamic.ResourceInterface
	watched    *watch.One
	limit      flowcontrol.RateLimiter
	mutating   bool
	twin       *configuration // of the other kind, which may be there instead; nil if none may

	lock   sync.Mutex
	listed bool
	object *unstructured.Unstructured // nil if there is none
}

func newTrusting(client *kube.Client, of Configurations, woken chan<- struct{}, log *slog.Logger) *trusting {
	t := &trusting{trouble: newTrouble(log), woken: woken}
	add := func(kind string, resource schema.GroupVersionResource, name string) *configuration {
		c := &configuration{
			what: kind + " " + name, name: name, resource: client.Resource(resource),
			limit: flowcontrol.NewTokenBucketRateLimiter(1.0/overruleEvery, overrules),
		}
		c.watched = watch.NewOne(c.resource, c.what, name, log)
		t.of = append(t.of, c)
		return c
	}
	validating := func(name string) *configuration {
		return add("ValidatingWebhookConfiguration", kube.ValidatingWebhooks(), name)
	}
	mutating := func(name string) *configuration {
		c := add("MutatingWebhookConfiguration", kube.MutatingWebhooks(), name)
		c.mutating = true
		return c
	}
	for _, name := range of.Validating {
		validating(name)
	}
	for _, name := range of.Mutating {
		mutating(name)
	}
	for _, name := range of.Either {
		one, other := validating(name), mutating(name)
		one.twin, other.twin = other, one
	}
	return t
}

// watch watches the configurations until ctx ends. What it returns waits for that.
func (t *trusting) watch(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	for _, c := range t.of {
		running.Go(func() {
			c.watched.Run(ctx, func(object *unstructured.Unstructured) {
				c.lock.Lock()
				c.listed, c.object = true, object
				c.lock.Unlock()
				wake(t.woken)
			})
		})
	}
	return running.Wait
}

func (t *trusting) problems() []watch.Problem {
	out := t.trouble.problems()
	for _, c := range t.of {
		out = append(out, c.watched.Problems()...)
	}
	return out
}

// write writes the bundle where it is not. spread says that every configuration was seen
// with it, which is after it was written; done, that nothing has to be tried again. current
// is asked before anything is written, and an error of it is why not.
func (t *trusting) write(ctx context.Context, bundle []byte, current func() error) (spread, done bool) {
	spread, done = true, true
	for _, c := range t.of {
		has, err := c.write(ctx, bundle, current)
		if errors.Is(err, errNone) && c.twin != nil && c.twin.suffices() {
			err = nil
		}
		t.trouble.note(c.what, err)
		spread = spread && has
		done = done && (err == nil || errors.Is(err, errNone))
	}
	return spread, done
}

// write says whether the configuration was seen with the bundle. One that is not there has
// whatever it gets: no API server asks it.
func (c *configuration) write(ctx context.Context, bundle []byte, current func() error) (has bool, err error) {
	c.lock.Lock()
	listed, object := c.listed, c.object
	c.lock.Unlock()
	switch {
	case !listed:
		return false, nil // which is a problem of the watch, if of any
	case object == nil:
		return true, errNone
	}
	patch, err := patchOf(object, bundle)
	if err != nil || patch == nil {
		return err == nil, err
	}
	if err := current(); err != nil {
		return false, err
	}
	return false, c.patch(ctx, patch)
}

// suffices says that nothing is missing where the other kind of its name is not there; what was not
// asked for yet may suffice. Whoever has tags pinned has images judged as well: where there
// is only the mutating configuration of workloads, nobody is asked for a verdict.
func (c *configuration) suffices() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	return !c.listed || c.object != nil && (!c.mutating || !calls(c.object, "/mutate"))
}

// calls says whether a webhook of a configuration is called at a path.
func calls(configuration *unstructured.Unstructured, path string) bool {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	return err != nil || slices.ContainsFunc(webhooks, func(webhook any) bool {
		fields, _ := webhook.(map[string]any)
		at, _, _ := unstructured.NestedString(fields, "clientConfig", "service", "path")
		address, _, _ := unstructured.NestedString(fields, "clientConfig", "url")
		return at == path || strings.HasSuffix(address, path)
	})
}

func (c *configuration) patch(ctx context.Context, patch []byte) error {
	if !c.limit.TryAccept() {
		return errFought
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	_, err := c.resource.Patch(ctx, c.name, types.JSONPatchType, patch, metav1.PatchOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // what it is now will be seen
	}
	return err
}

// Trust keeps caBundle of webhook configurations equal to a file of CAs, for certificates
// that somebody else issues.
type Trust struct {
	client  *kube.Client
	of      Configurations
	file    string
	log     *slog.Logger
	leading atomic.Pointer[trusting]
}

// NewTrust returns a Trust of the CAs in a file, in PEM.
func NewTrust(client *kube.Client, of Configurations, file string, log *slog.Logger) *Trust {
	return &Trust{client: client, of: of, file: file, log: log}
}

// Run keeps caBundle until ctx ends, and reads the file every minute. It is for the replica
// that leads.
func (t *Trust) Run(ctx context.Context) {
	woken := make(chan struct{}, 1)
	keep := newTrusting(t.client, t.of, woken, t.log)
	defer keep.watch(ctx)()
	t.leading.Store(keep)
	defer t.leading.Store(nil)
	for ctx.Err() == nil {
		wait := look
		bundle, err := readBundle(t.file)
		keep.trouble.note(t.file, err)
		if err == nil {
			if _, done := keep.write(ctx, bundle, func() error { return nil }); !done {
				wait = again
			}
		}
		sleep(ctx, wait, woken)
	}
}

// Problems are what is not as it should be, and since when.
func (t *Trust) Problems() []watch.Problem {
	if keep := t.leading.Load(); keep != nil {
		return keep.problems()
	}
	return nil
}

// readBundle reads a file of CAs, and leaves out what is beside them.
func readBundle(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	authorities, err := readAuthorities(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return (&state{authorities: authorities}).bundle(), nil
}
