package watch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
)

// One watches one object that policies are not made of.
type One struct{ source source }

// NewOne returns a One for the object of that name. what names it in messages.
func NewOne(resource dynamic.ResourceInterface, what, name string, log *slog.Logger) *One {
	return &One{source: source{
		what: what, resource: resource, name: name,
		health: &health{log: log, now: time.Now, poke: func() {}, failing: map[string]failure{}}, // who asks for problems asks
	}}
}

// Run watches until ctx ends. It calls changed, from one goroutine, with what is there and
// with each version since, and with nil where there is none. The object may be kept, and
// not changed.
func (o *One) Run(ctx context.Context, changed func(*unstructured.Unstructured)) {
	// The library would log on its own, and not only what may be logged.
	o.source.run(klog.NewContext(ctx, klog.New(nil)), latest(changed))
}

// Problems is why the object is not up to date, if it is not.
func (o *One) Problems() []Problem { return o.source.health.problems() }

// latest is the store of a reflector of one object.
type latest func(*unstructured.Unstructured)

// Add passes on.
func (l latest) Add(object any) error { return l.Update(object) }

// Update passes on.
func (l latest) Update(object any) error {
	read, err := unstructuredOf(object)
	if err == nil {
		l(read)
	}
	return err
}

// Delete passes on that there is none.
func (l latest) Delete(any) error {
	l(nil)
	return nil
}

// Replace passes on what was listed, which is one object or none.
func (l latest) Replace(objects []any, _ string) error {
	switch len(objects) {
	case 0:
		return l.Delete(nil)
	case 1:
		return l.Update(objects[0])
	}
	return fmt.Errorf("got %d objects of one name, want one", len(objects))
}

// Resync is for stores that something else reads from.
func (latest) Resync() error { return nil }
