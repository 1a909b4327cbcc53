package watch

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"github.com/assay-dev/assay/kube"
)

// pollEvery is how often one object is asked for that may not be watched: how long the key
// that a namespace replaced may go on to serve there.
const pollEvery = 30 * time.Second

// poll keeps store with the one object of the source until ctx ends, by asking for it.
func (s source) poll(ctx context.Context, store cache.ReflectorStore) {
	s.done = ctx.Done()
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) { s.ask(ctx, store) }, pollEvery, 0.2, true)
}

// ask takes in what there is now. What cannot be read stays as it was.
func (s source) ask(ctx context.Context, store cache.ReflectorStore) {
	ctx, cancel := context.WithTimeout(ctx, kube.RequestTimeout)
	defer cancel()
	object, err := s.resource.Get(ctx, s.name, metav1.GetOptions{})
	found := []any{object}
	if apierrors.IsNotFound(err) {
		found, err = nil, nil
	}
	if err == nil {
		err = store.Replace(found, "")
	}
	s.health.note(s, "get", err)
}
