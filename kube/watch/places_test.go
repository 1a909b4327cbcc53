package watch

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/assay-dev/assay/kube"
)

// api is a cluster without objects but one namespace, whose changes are told as they come.
type api struct{ changes chan string }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	isNamespaces := r.URL.Path == "/api/v1/namespaces"
	if r.URL.Query().Get("watch") == "" {
		items := []any{}
		if isNamespaces {
			items = append(items, json.RawMessage(namespaceJSON("1", "web")))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
		return
	}
	_ = http.NewResponseController(w).Flush()
	for {
		var changes chan string
		if isNamespaces {
			changes = a.changes
		}
		select {
		case <-r.Context().Done():
			return
		case change := <-changes:
			_, _ = fmt.Fprintln(w, change)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func namespaceJSON(version, tier string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","resourceVersion":%q,"labels":{"tier":%q}}}`, version, tier)
}

func (a *api) connect(t *testing.T) *kube.Client {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: it, contexts: [{name: it, context: {cluster: it, user: it}}],
		clusters: [{name: it, cluster: {server: %q}}], users: [{name: it, user: {}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kube.Connect(file, "security", "assay-test")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestNoLoadHoldsUpALabel: whoever is told of policies may load them for minutes, and by a label of now
// a decision is made meanwhile.
func TestNoLoadHoldsUpALabel(t *testing.T) {
	t.Parallel()
	a := &api{changes: make(chan string)}
	w := New(a.connect(t), slog.New(slog.DiscardHandler))
	loading, loaded := make(chan struct{}), make(chan struct{})
	defer close(loaded)
	began := sync.OnceFunc(func() { close(loading) })
	go w.Run(t.Context(), func() {
		began()
		<-loaded
	})
	patience := time.After(time.Minute)
	select {
	case <-loading:
	case <-patience:
		t.Fatal("got no first load, want one")
	}
	for version, tier := range []string{"db", "web", "frozen"} {
		a.changes <- fmt.Sprintf(`{"type":"MODIFIED","object":%s}`, namespaceJSON(fmt.Sprint(version+2), tier))
		for labels, _ := w.Namespaces(); labels["shop"]["tier"] != tier; labels, _ = w.Namespaces() {
			select {
			case <-patience:
				t.Fatalf("got %v while a load runs, want tier %s", labels, tier)
			case <-time.After(time.Millisecond):
			}
		}
	}
}

// TestLabelsWaitForNoPolicy: an object is read under the lock of all that policies are made of, which takes
// as long as whoever wrote it makes it take.
func TestLabelsWaitForNoPolicy(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	if labels, _ := w.Namespaces(); len(labels) > 0 {
		t.Errorf("got %v before they were listed, want none", labels)
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	told := func(labels string) any {
		return object(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: "+labels+"}")
	}
	if err := w.places.kept.Replace([]any{told("{tier: trusted}")}, "1"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name    string
		event   func(any) error
		labels  string
		changes uint64
		want    map[string]map[string]string
	}{
		{"the same again", w.places.kept.Update, "{tier: trusted}", 0, map[string]map[string]string{"shop": {"tier": "trusted"}}},
		{"a label that is gone", w.places.kept.Update, "{}", 1, map[string]map[string]string{"shop": {}}},
		{"a namespace that is gone", w.places.kept.Delete, "{}", 1, map[string]map[string]string{}},
	} {
		before, of := w.Namespaces()
		was := maps.Clone(before)
		if err := step.event(told(step.labels)); err != nil {
			t.Fatal(err)
		}
		got, now := w.Namespaces()
		if diff := cmp.Diff(step.want, got, cmpopts.EquateEmpty()); diff != "" || now-of != step.changes {
			t.Errorf("%s: got %d changes, want %d, labels (-want +got):\n%s", step.name, now-of, step.changes, diff)
		}
		if diff := cmp.Diff(was, before); diff != "" {
			t.Errorf("%s: what was asked for before (-want +got):\n%s", step.name, diff)
		}
	}
}
