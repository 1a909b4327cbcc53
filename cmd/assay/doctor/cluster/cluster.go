// Package cluster reads objects of a cluster, a page at a time and within bounds.
package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/kube"
)

// Reader reads objects of a cluster.
type Reader struct{ Client *kube.Client }

// page is how many objects are listed at once, and mostObjects how many of a kind are read.
const (
	page        = 500
	mostObjects = 20_000
)

// Get gives an object, or none where there is none of that name.
func Get[T any](ctx context.Context, r Reader, of schema.GroupVersionResource, namespace, name string) (out T, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	object, err := r.Client.Resource(of).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if IsNone(err) {
		return out, false, nil
	}
	if err != nil {
		return out, false, err
	}
	out, err = Typed[T](*object)
	return out, err == nil, err
}

// IsNone says whether the API server knows that there is no such object. A resource that is
// not served looks the same, and has none.
func IsNone(err error) bool { return apierrors.IsNotFound(err) }

// List gives the objects of a kind; an empty namespace is all.
func List[T any](ctx context.Context, r Reader, of schema.GroupVersionResource, namespace string, options metav1.ListOptions) (out []T, err error) {
	options.Limit = page
	for {
		objects, err := r.Page(ctx, of, namespace, options)
		if err != nil {
			return nil, err
		}
		for _, object := range objects.Items {
			value, err := Typed[T](object)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		if options.Continue = objects.GetContinue(); options.Continue == "" {
			return out, nil
		}
		if len(out) > mostObjects {
			return nil, fmt.Errorf("%s: got more than %d, want fewer to look at", of.Resource, mostObjects)
		}
	}
}

// Page gives the first objects of a kind, as many as the options say.
func (r Reader) Page(ctx context.Context, of schema.GroupVersionResource, namespace string, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	return r.Client.Resource(of).Namespace(namespace).List(ctx, options)
}

// Named lists the object of a name, as the rights of assay itself allow where there is no
// right to get it.
func Named[T any](ctx context.Context, r Reader, of schema.GroupVersionResource, name string) (out T, found bool, err error) {
	all, err := List[T](ctx, r, of, "", metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil || len(all) == 0 {
		return out, false, err
	}
	return all[0], true, nil
}

// Create creates an object, perhaps for nothing but the answer.
func (r Reader) Create(ctx context.Context, of schema.GroupVersionResource, namespace string, object map[string]any, options metav1.CreateOptions) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	return r.Client.Resource(of).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: object}, options)
}

// Typed is an object as a value of its type.
func Typed[T any](object unstructured.Unstructured) (out T, err error) {
	if same, ok := any(object).(T); ok {
		return same, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &out); err != nil {
		return out, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return out, nil
}
