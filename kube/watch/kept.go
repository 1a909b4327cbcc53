package watch

import (
	"fmt"
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kept is what a source lists, by name: each object is read when it arrives, and only what
// was read of it stays. It is the store of a reflector, and its methods are called by one
// goroutine; everything in it is under a lock that all sources share.
type kept[T any] struct {
	lock *sync.RWMutex
	// read reads an object. before is what was known of it, the zero value if nothing.
	read func(object *unstructured.Unstructured, before T) T
	// named is under what an object is kept. The default is its name.
	named func(object *unstructured.Unstructured) string
	// same says of two values that no decision can tell them apart.
	same func(a, b T) bool
	// lost is what a deleted object leaves behind, if anything. Without it that is nothing.
	lost func(T) (T, bool)
	// changes counts what was not the same.
	changes *uint64
	// poke is called after each event, also one that changed nothing.
	poke func()

	byName map[string]T
	synced bool // listed once
}

// Add keeps an object.
func (k *kept[T]) Add(object any) error { return k.Update(object) }

// Update keeps an object.
func (k *kept[T]) Update(object any) error {
	defer k.poke()
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.take(object)
}

// Delete forgets an object, or keeps what it leaves behind.
func (k *kept[T]) Delete(object any) error {
	read, err := unstructuredOf(object)
	if err != nil {
		return err
	}
	defer k.poke()
	k.lock.Lock()
	defer k.lock.Unlock()
	k.remove(k.nameOf(read))
	return nil
}

// Replace keeps the objects of a list and no others.
func (k *kept[T]) Replace(objects []any, _ string) error {
	defer k.poke()
	k.lock.Lock()
	defer k.lock.Unlock()
	gone := maps.Clone(k.byName)
	for _, object := range objects {
		if err := k.take(object); err != nil {
			return err
		}
		read, err := unstructuredOf(object)
		if err != nil {
			return err
		}
		delete(gone, k.nameOf(read))
	}
	for name := range gone {
		k.remove(name)
	}
	k.synced = true
	return nil
}

// Resync is for stores that something else reads from.
func (k *kept[T]) Resync() error { return nil }

func (k *kept[T]) nameOf(object *unstructured.Unstructured) string {
	if k.named != nil {
		return k.named(object)
	}
	return object.GetName()
}

func (k *kept[T]) take(object any) error {
	read, err := unstructuredOf(object)
	if err != nil {
		return err
	}
	name := k.nameOf(read)
	before, known := k.byName[name]
	now := k.read(read, before)
	if !known || !k.same(before, now) {
		*k.changes++
	}
	k.byName[name] = now
	return nil
}

func (k *kept[T]) remove(name string) {
	before, known := k.byName[name]
	if !known {
		return
	}
	if k.lost != nil {
		if left, ok := k.lost(before); ok {
			if !k.same(before, left) {
				*k.changes++
			}
			k.byName[name] = left
			return
		}
	}
	delete(k.byName, name)
	*k.changes++
}

func unstructuredOf(object any) (*unstructured.Unstructured, error) {
	read, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("got an object of type %T, want one without a type", object)
	}
	return read, nil
}
