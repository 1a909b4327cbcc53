package cluster_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/cluster"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// reading is a reader of a server.
func reading(t *testing.T, answer http.HandlerFunc) cluster.Reader {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion": "v1", "kind": "Config", "current-context": "a", "clusters": [{"name": "a", "cluster": {"server": "` + server.URL + `"}}],
  "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], "users": [{"name": "a", "user": {}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kube.Connect(path, "", "test")
	if err != nil {
		t.Fatal(err)
	}
	return cluster.Reader{Client: client}
}

// TestListsEnd although a server says again and again that there is more.
func TestListsEnd(t *testing.T) {
	t.Parallel()
	items := strings.Repeat(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}},`, 5000)
	r := reading(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "NamespaceList", "metadata": {"continue": "more"}, "items": [%s]}`, strings.TrimSuffix(items, ","))
	})
	if got, err := cluster.List[shape.Namespace](t.Context(), r, kube.Namespaces(), "", metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), "got more than 20000") {
		t.Errorf("got %d namespaces and %v, want an end", len(got), err)
	}
}

// TestListsGoOn to the last page, and a failure of it is one of all.
func TestListsGoOn(t *testing.T) {
	t.Parallel()
	broken := false
	r := reading(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		next := ""
		if r.URL.Query().Get("continue") == "" {
			next = "more"
		} else if broken {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "NamespaceList", "metadata": {"continue": %q}, "items": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}]}`, next)
	})
	if got, err := cluster.List[shape.Namespace](t.Context(), r, kube.Namespaces(), "", metav1.ListOptions{}); err != nil || len(got) != 2 || got[1].Name != "a" {
		t.Errorf("got %+v and %v, want both pages", got, err)
	}
	broken = true
	if got, err := cluster.List[shape.Namespace](t.Context(), r, kube.Namespaces(), "", metav1.ListOptions{}); !apierrors.IsForbidden(err) || got != nil {
		t.Errorf("got %+v and %v, want the failure alone", got, err)
	}
}

// TestAnotherTypeIsAnError: an object that is not what it should be is no empty one.
func TestAnotherTypeIsAnError(t *testing.T) {
	t.Parallel()
	r := reading(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"tls.crt": 3}}`))
	})
	if got, found, err := cluster.Get[shape.Secret](t.Context(), r, kube.Secrets(), "a", "a"); err == nil || found {
		t.Errorf("got %+v, %t and %v, want an error", got, found, err)
	}
}
