package hook

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// Live finds objects by asking the API server: a cache has what the policies refer to
// that are stored, not what this one does.
type Live struct{ Client dynamic.Interface }

var _ Finder = Live{}

// Find needs the right to get the resource.
func (l Live) Find(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) (bool, error) {
	_, err := l.Client.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
