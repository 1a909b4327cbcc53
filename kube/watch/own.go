package watch

import (
	"errors"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/rego/resource"
)

// own is what is known of an object of our own group.
type own[T any] struct {
	// serves is the object, or what stands in for one that cannot be read.
	serves  T
	cause   string
	seen    Seen
	content content
}

func (o own[T]) same(other own[T]) bool {
	return o.cause == other.cause && reflect.DeepEqual(o.serves, other.serves)
}

// readOwn reads objects of a kind. It never fails: what cannot be read denies.
func readOwn[T any](kind string, parse func([]byte) (T, error), standIn func(read T, name, cause string) T) func(*unstructured.Unstructured, own[T]) own[T] {
	return func(object *unstructured.Unstructured, before own[T]) own[T] {
		out := own[T]{seen: seen(kind, object), content: contentOf(object)}
		if out.content.known(before.content) {
			before.seen = out.seen
			return before
		}
		var err error
		if out.serves, err = guarded(object, parse); err != nil {
			out.cause = cause(err)
			out.serves = standIn(out.serves, object.GetName(), out.cause)
		}
		return out
	}
}

// guarded makes an error of a panic: it would end the process, and again whenever it starts.
func guarded[T any](object *unstructured.Unstructured, parse func([]byte) (T, error)) (out T, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("reading it panicked")
		}
	}()
	data, err := written(object)
	if err != nil {
		return out, err
	}
	return parse(data)
}

// refusedRego is a policy that judges every review, and fails: nobody can say what it
// demands. That its text warned before is no matter.
func refusedRego(_ resource.RegoPolicy, name, cause string) resource.RegoPolicy {
	return resource.RegoPolicy{Name: name, Refused: "the policy cannot be read: " + cause}
}

// refusedPaths has objects of the kind denied, as far as it says which that is. Otherwise
// nobody knows the kind, and they are denied as well.
func refusedPaths(read resource.WorkloadPaths, name, cause string) resource.WorkloadPaths {
	read.Name, read.Refused = name, "they cannot be read: "+cause
	return read
}
