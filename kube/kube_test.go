package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/kube"
)

// TestWorkloadsOfManyNamespaces: a cluster whose namespaces begin anew together has its pull
// secrets within the time of a decision.
func TestWorkloadsOfManyNamespaces(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"pull"}}`)
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: it, contexts: [{name: it, context: {cluster: it, user: it}}],
		clusters: [{name: it, cluster: {server: %q}}], users: [{name: it, user: {}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kube.ConnectForWorkloads(file, "", "assay-test")
	if err != nil {
		t.Fatal(err)
	}
	// Who would wait for longer than there is time for is told so at once.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var work sync.WaitGroup
	var got atomic.Int32
	for i := range 400 {
		work.Go(func() {
			_, err := client.Resource(kube.Secrets()).Namespace(fmt.Sprint("n", i)).Get(ctx, "pull", metav1.GetOptions{})
			if err == nil {
				got.Add(1)
			}
		})
	}
	work.Wait()
	if got.Load() != 400 {
		t.Errorf("got %d Secrets in time, want 400", got.Load())
	}
}
