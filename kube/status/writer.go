package status

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

const (
	// writesPerSecond and writeBurst bound what is written: a change of a setting may
	// concern each of a thousand policies.
	writesPerSecond = 10
	writeBurst      = 50
	// writeAgain is how soon is tried again what failed.
	writeAgain = 10 * time.Second
	// countEvery is how often a status is written for the number of images alone.
	countEvery = time.Minute
	// conflicts is how often one status is tried in a row.
	conflicts = 3
)

// Writer writes statuses.
type Writer struct {
	client   *kube.Client
	log      *slog.Logger
	reporter string
	limit    flowcontrol.RateLimiter
	wake     chan struct{}

	lock   sync.Mutex
	wanted map[string]Judged // by kind and name

	written map[string]write // Run's own
}

// write is what was last written of an object: until it is seen again, its status is that.
type write struct {
	over string // the version that it replaced
	now  watch.Seen
	at   time.Time
}

// NewWriter returns a Writer. reporter names this replica in Events.
func NewWriter(client *kube.Client, reporter string, log *slog.Logger) *Writer {
	return &Writer{
		client: client, log: log, reporter: reporter, wake: make(chan struct{}, 1),
		limit: flowcontrol.NewTokenBucketRateLimiter(writesPerSecond, writeBurst),
	}
}

// Set says what became of all objects. It takes the place of what was said before, and
// waits for nothing; nothing is written unless [Writer.Run] runs.
func (w *Writer) Set(judged []Judged) {
	wanted := make(map[string]Judged, len(judged))
	for _, j := range judged {
		wanted[j.Kind+" "+j.Name] = j
	}
	w.lock.Lock()
	w.wanted = wanted
	w.lock.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends. It is for the replica that leads.
func (w *Writer) Run(ctx context.Context) {
	w.written = map[string]write{}
	for ctx.Err() == nil {
		wait := countEvery
		if !w.writeAll(ctx) {
			wait = writeAgain
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// writeAll says whether all of it was written.
func (w *Writer) writeAll(ctx context.Context) bool {
	w.lock.Lock()
	var wanted []Judged
	for _, j := range w.wanted {
		wanted = append(wanted, j)
	}
	for id := range w.written {
		if _, exists := w.wanted[id]; !exists {
			delete(w.written, id)
		}
	}
	w.lock.Unlock()
	slices.SortFunc(wanted, func(a, b Judged) int {
		return cmp.Or(cmp.Compare(strings.Count(a.Name, "/"), strings.Count(b.Name, "/")), strings.Compare(a.Kind+" "+a.Name, b.Kind+" "+b.Name))
	})
	var failed error
	for _, j := range wanted {
		// What is of namespaces comes last, and waits where there is news: there may be
		// thousands, and each takes a tenth of a second.
		if strings.Contains(j.Name, "/") && w.news() {
			break
		}
		if err := w.write(ctx, j); err != nil && ctx.Err() == nil {
			failed = err
		}
	}
	if failed != nil {
		w.log.Warn("status: cannot be written", "error", failed)
	}
	return failed == nil
}

// news says that more was said meanwhile. Who asks for it goes on with that.
func (w *Writer) news() bool { return len(w.wake) > 0 }

// current is the object with the status that it has, which may be one that was written and
// not yet seen.
func (w *Writer) current(j Judged) Judged {
	if last, ok := w.written[j.Kind+" "+j.Name]; ok && last.over == j.ResourceVersion && last.now.UID == j.UID {
		j.ResourceVersion, j.Status = last.now.ResourceVersion, last.now.Status
	}
	return j
}

func (w *Writer) write(ctx context.Context, j Judged) error {
	over := j.ResourceVersion
	j = w.current(j)
	for range conflicts {
		now := time.Now()
		status, differs := Of(j, now)
		last := w.written[j.Kind+" "+j.Name]
		if !differs || countAlone(j.Status, status) && now.Sub(last.at) < countEvery {
			return nil
		}
		if err := w.limit.Wait(ctx); err != nil {
			return err
		}
		object, err := w.patch(ctx, j, status)
		switch {
		case err == nil:
			w.written[j.Kind+" "+j.Name] = write{over: over, now: seen(j.Seen, object), at: now}
			w.tell(ctx, j, status)
			return nil
		case apierrors.IsNotFound(err):
			return nil // deleted meanwhile
		case !apierrors.IsConflict(err):
			return fmt.Errorf("%s %s: %w", j.Kind, j.Name, err)
		}
		if object, err = w.get(ctx, j); err != nil {
			return fmt.Errorf("%s %s: %w", j.Kind, j.Name, err)
		}
		if string(object.GetUID()) != j.UID || object.GetGeneration() != j.Generation {
			return nil // of another version another outcome will be said
		}
		j.Seen = seen(j.Seen, object)
	}
	return fmt.Errorf("%s %s: got %d conflicts in a row", j.Kind, j.Name, conflicts)
}

// countAlone says that a status differs in the number of images and in nothing else.
func countAlone(before, after map[string]any) bool {
	without := func(status map[string]any) string {
		text, err := json.Marshal([]any{status["conditions"], status["observedGeneration"]})
		if err != nil {
			return err.Error() // it was JSON when it was read
		}
		return string(text)
	}
	return without(before) == without(after)
}

func (w *Writer) resource(kind, namespace string) (dynamic.ResourceInterface, error) {
	switch kind {
	case cip.ImagePolicyKind:
		return w.client.Resource(kube.ImagePolicies()).Namespace(namespace), nil
	case cip.ClusterImagePolicyKind:
		return w.client.Resource(kube.ClusterImagePolicies()), nil
	case "TrustRoot":
		return w.client.Resource(kube.TrustRoots()), nil
	case resource.RegoPolicyKind:
		return w.client.Resource(kube.RegoPolicies()), nil
	case resource.WorkloadPathsKind:
		return w.client.Resource(kube.WorkloadPaths()), nil
	}
	return nil, errors.New("got a kind without a status")
}

// patch replaces the fields of the status over the version that was seen, and no other.
func (w *Writer) patch(ctx context.Context, j Judged, status map[string]any) (*unstructured.Unstructured, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": j.ResourceVersion, "uid": j.UID}, "status": status,
	})
	if err != nil {
		return nil, err
	}
	namespace, name := j.Object()
	written, err := w.resource(j.Kind, namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	return written.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
}

func (w *Writer) get(ctx context.Context, j Judged) (*unstructured.Unstructured, error) {
	namespace, name := j.Object()
	written, err := w.resource(j.Kind, namespace)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	return written.Get(ctx, name, metav1.GetOptions{})
}

func seen(before watch.Seen, object *unstructured.Unstructured) watch.Seen {
	before.ResourceVersion = object.GetResourceVersion()
	before.Status, _ = object.Object["status"].(map[string]any)
	return before
}

// tell makes an Event of a change between good and bad.
func (w *Writer) tell(ctx context.Context, j Judged, status map[string]any) {
	e, ok := turned(j.Seen, status)
	if !ok || !w.limit.TryAccept() {
		return
	}
	if err := create(ctx, w.client, e.object(w.reporter, time.Now())); err != nil {
		w.log.Warn("events: cannot be written", "error", err)
	}
}
