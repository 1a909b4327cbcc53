package watch

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// places are the labels of the namespaces. They have a lock of their own, and whoever asks gets what is kept:
// a decision may fall by a label while policies are read and loaded, which is for others to start and to
// stretch.
type places struct {
	lock    sync.RWMutex // of all of it, and of what is kept
	kept    *kept[map[string]string]
	changes uint64

	made map[string]map[string]string
	of   uint64 // the changes that made has
}

// newPlaces has poke called after each event.
func newPlaces(poke func()) *places {
	p := &places{}
	p.kept = &kept[map[string]string]{
		lock: &p.lock, read: readNamespace, same: maps.Equal[map[string]string, map[string]string], changes: &p.changes, poke: poke,
		byName: map[string]map[string]string{},
	}
	return p
}

// readNamespace keeps the labels of a namespace.
func readNamespace(object *unstructured.Unstructured, _ map[string]string) map[string]string {
	return object.GetLabels()
}

func (p *places) synced() bool {
	p.lock.RLock()
	defer p.lock.RUnlock()
	return p.kept.synced
}

// now are the labels by namespace, and how often they changed. They are put together for whoever asks first.
func (p *places) now() (labels map[string]map[string]string, changes uint64) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.made == nil || p.of != p.changes {
		p.made, p.of = maps.Clone(p.kept.byName), p.changes
	}
	return p.made, p.of
}

// Namespaces has the labels of each namespace by its name, as the API server told of them last, and counts
// their changes. Nothing that Run waits for holds them up. They are shared: change nothing in them.
func (w *Watcher) Namespaces() (labels map[string]map[string]string, changes uint64) {
	return w.places.now()
}
