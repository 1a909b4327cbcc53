package watch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/assay-dev/assay/kube"
)

// source lists one kind of objects, or one object of it, and watches it.
type source struct {
	// what names it in messages.
	what     string
	resource dynamic.ResourceInterface
	// name is that of the one object, or empty.
	name string
	// minor says that it is one namespace's: what is wrong with it is said of its policies,
	// and is no problem of the installation.
	minor  bool
	health *health
	done   <-chan struct{} // closed when it is watched no more
}

// run keeps store until ctx ends. It tries again for ever, and says so in its health.
func (s source) run(ctx context.Context, store cache.ReflectorStore) {
	s.done = ctx.Done()
	backoff := &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 10 * time.Second}
	cache.NewReflectorWithOptions(s, &unstructured.Unstructured{}, store, cache.ReflectorOptions{
		Name: s.what, TypeDescription: s.what, Backoff: backoff,
	}).RunWithContext(ctx)
}

// IsWatchListSemanticsUnSupported has the reflector list and then watch. Streaming the
// list saves the API server memory for thousands of large objects, and costs a second
// request of each kind that is not installed.
func (s source) IsWatchListSemanticsUnSupported() bool { return true }

// List is ListWithContext.
func (s source) List(options metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), options)
}

// Watch is WatchWithContext.
func (s source) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), options)
}

// ListWithContext lists what there is now: the reflector would take the word of an API
// server's cache, which may be that of yesterday's policies.
func (s source) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	if options.ResourceVersion == "0" {
		options.ResourceVersion = ""
	}
	options.FieldSelector = s.selector()
	list, err := s.resource.List(ctx, options)
	s.health.note(s, "list", err)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// WatchWithContext watches from where the list ended.
func (s source) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = s.selector()
	stream, err := s.resource.Watch(ctx, options)
	s.health.note(s, "watch", err)
	return stream, err
}

func (s source) selector() string {
	if s.name == "" {
		return ""
	}
	return "metadata.name=" + s.name
}

// Problem is a source that is not up to date.
type Problem struct {
	// What names it: a resource, or a resource and an object.
	What string
	// Since is when it began.
	Since time.Time
	Cause string
}

// String is for people.
func (p Problem) String() string {
	return fmt.Sprintf("%s: stale since %s: %s", p.What, p.Since.UTC().Format(time.RFC3339), p.Cause)
}

// health is what is wrong with the sources.
type health struct {
	log  *slog.Logger
	now  func() time.Time
	poke func() // called when something is wrong that was not; required

	lock    sync.Mutex
	failing map[string]failure
}

type failure struct {
	verb      string
	forbidden bool
	minor     bool
	Problem
}

// note takes in what became of a request. A list that is answered says nothing about the
// watch that is not.
func (h *health) note(s source, verb string, err error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	select {
	case <-s.done: // and forgotten
		return
	default:
	}
	what := s.what
	before, failing := h.failing[what]
	switch {
	case err != nil:
		now := failure{verb: verb, forbidden: apierrors.IsForbidden(err), minor: s.minor, Problem: Problem{What: what, Since: h.now(), Cause: failed(verb, err)}}
		if failing {
			now.Since = before.Since
		}
		h.failing[what] = now
		if !failing || before.Cause != now.Cause {
			h.log.Warn("cluster: not up to date", "what", what, "cause", now.Cause)
			h.poke()
		}
	case failing && (verb == "watch" || before.verb == verb):
		delete(h.failing, what)
		h.log.Info("cluster: up to date again", "what", what, "after", h.now().Sub(before.Since))
	}
}

// failed names the verb and the cause. That of an API server names the resource, and for
// whom it is forbidden.
func failed(verb string, err error) string {
	text := err.Error()
	if len(text) > mostCause {
		text = strings.ToValidUTF8(text[:mostCause], "") + "…"
	}
	switch {
	case apierrors.IsForbidden(err):
		return verb + " is forbidden: " + text
	case apierrors.IsNotFound(err):
		return verb + ": the resource is not installed: " + text
	}
	return verb + ": " + text
}

// forget drops a source that is watched no more.
func (h *health) forget(what string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	delete(h.failing, what)
}

// forbidden is why a source may not be read, empty where it may or nobody knows.
func (h *health) forbidden(what string) string {
	h.lock.Lock()
	defer h.lock.Unlock()
	if found := h.failing[what]; found.forbidden {
		return found.Cause
	}
	return ""
}

// cause is what is wrong with a source, empty where nothing is.
func (h *health) cause(what string) string {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.failing[what].Cause
}

func (h *health) isFailing(what string) bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	_, failing := h.failing[what]
	return failing
}

func (h *health) problems() []Problem {
	h.lock.Lock()
	defer h.lock.Unlock()
	var out []Problem
	for failure := range maps.Values(h.failing) {
		if !failure.minor {
			out = append(out, failure.Problem)
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return cmp.Compare(a.What, b.What) })
	return out
}
