package webhook

import (
	"context"
	"fmt"
	"sync"

	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/cip"
)

// mostOwned is how many policies of namespaces are judged at once, as they are applied.
const mostOwned = 4

// turns are of namespaces: each has one policy judged at a time, and few of them at once.
// Nobody waits, since who waits holds a place that others need.
type turns struct {
	mu    sync.Mutex
	taken map[string]bool
}

func (t *turns) take(namespace string) (problem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.taken[namespace]:
		return fmt.Sprintf("another ImagePolicy of namespace %s is being judged: try again", namespace)
	case len(t.taken) >= mostOwned:
		return fmt.Sprintf("%d ImagePolicies are being judged: try again", mostOwned)
	}
	if t.taken == nil {
		t.taken = map[string]bool{}
	}
	t.taken[namespace] = true
	return ""
}

func (t *turns) leave(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.taken, namespace)
}

// turn waits for the turn of a policy of the cluster, and takes that of a namespace if it is
// free. It says why there is none.
func (c *cluster) turn(ctx context.Context, request hook.Request) (done func(), problem string) {
	if request.Kind == cip.ImagePolicyKind {
		if problem := c.owned.take(request.Namespace); problem != "" {
			return nil, problem
		}
		return func() { c.owned.leave(request.Namespace) }, ""
	}
	select {
	case c.judging <- struct{}{}:
		return func() { <-c.judging }, ""
	case <-ctx.Done():
		return nil, "another policy is being judged: try again"
	}
}
