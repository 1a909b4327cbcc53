package pull_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/pull"
)

// TestNamespacesWaitForThemselves: whoever names many Secrets keeps nobody else waiting.
func TestNamespacesWaitForThemselves(t *testing.T) {
	t.Parallel()
	a := cluster()
	a.hold, a.held = make(chan struct{}), "flood/"
	p := puller(t, a, pull.Options{Mode: pull.Pods})
	var wait sync.WaitGroup
	for i := range 10 {
		var names []string
		for j := range 30 {
			names = append(names, fmt.Sprintf("s%d-%d", i, j))
		}
		wait.Go(func() {
			if found, err := p.Find(t.Context(), pull.Request{Namespace: "flood", Names: names}); found != nil || err != nil {
				t.Errorf("got %q and %v, want neither", texts(found), err)
			}
		})
	}
	for range 8 {
		<-a.waiting
	}
	found, err := p.Find(t.Context(), pull.Request{Namespace: "shop", Names: []string{"a"}})
	if diff := cmp.Diff([]string{"a=A"}, texts(found)); diff != "" || err != nil {
		t.Errorf("another namespace: got %v, Secrets (-want +got):\n%s", err, diff)
	}
	select {
	case <-a.waiting:
		t.Error("got a ninth request of one namespace at once, want 8")
	default:
	}
	a.mu.Lock()
	hold := a.hold
	a.hold = nil
	a.mu.Unlock()
	close(hold)
	wait.Wait()
}

// TestNamesWithoutMeasure: that there are too many is found out at once.
func TestNamesWithoutMeasure(t *testing.T) {
	t.Parallel()
	names := make([]string, 300_000)
	for i := range names {
		names[i] = fmt.Sprint("s", i)
	}
	a := cluster()
	a.objects["shop/serviceaccounts/default"] = account("shop", "default", names...)
	p := puller(t, a, pull.Options{Mode: pull.Pods})
	for _, request := range []pull.Request{{"shop", "", names}, {"shop", "default", nil}} {
		// Each name compared with each takes ten minutes.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := p.Find(ctx, request)
		var refused *pull.Error
		if !errors.As(err, &refused) || refused.Code != pull.TooLarge || ctx.Err() != nil {
			t.Errorf("got %v and %v, want %s in time", err, ctx.Err(), pull.TooLarge)
		}
	}
	if got := a.take(); !slices.Equal(got, []string{"shop/serviceaccounts/default"}) {
		t.Errorf("got requests %q, want one for the ServiceAccount", got)
	}
}
