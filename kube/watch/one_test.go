package watch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestOneObject(t *testing.T) {
	t.Parallel()
	var got []string
	store := latest(func(object *unstructured.Unstructured) {
		if object == nil {
			got = append(got, "none")
			return
		}
		got = append(got, object.GetName())
	})
	named := func(name string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{Object: map[string]any{}}
		object.SetName(name)
		return object
	}
	for what, err := range map[string]error{
		"nothing listed": store.Replace(nil, "1"), "listed": store.Replace([]any{named("a")}, "2"),
		"changed": store.Update(named("b")), "deleted": store.Delete(named("b")), "created": store.Add(named("c")),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff([]string{"none", "a", "b", "none", "c"}, got); diff != "" {
		t.Errorf("what was passed on (-want +got):\n%s", diff)
	}
	if store.Replace([]any{named("a"), named("b")}, "3") == nil || store.Update("text") == nil {
		t.Error("two objects, and no object: got no errors")
	}
}
