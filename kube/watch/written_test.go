package watch

import (
	"fmt"
	"log/slog"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/resource"
)

// TestWhatIsWrittenAboutAnObjectIsNotReadAgain: statuses are most of what the API server tells, and
// each replica hears of each.
func TestWhatIsWrittenAboutAnObjectIsNotReadAgain(t *testing.T) {
	t.Parallel()
	policy := func(version string, change func(*unstructured.Unstructured)) *unstructured.Unstructured {
		out := policyObject(t, "  images: [{glob: a.b/c}]\n  authorities: [{static: {action: pass}}]")
		out.SetResourceVersion(version)
		change(out)
		return out
	}
	same := func(*unstructured.Unstructured) {}
	read := readPolicy("cosign-system")
	first := read(policy("1", same), policyItem{})
	if first.good == nil {
		t.Fatalf("got %q, want it read", first.cause)
	}
	for name, tt := range map[string]struct {
		change func(*unstructured.Unstructured)
		again  bool
	}{
		"a status": {func(o *unstructured.Unstructured) {
			o.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready"}}}
		}, false},
		"its generation alone": {func(o *unstructured.Unstructured) { o.SetGeneration(7) }, false},
		"who manages it":       {func(o *unstructured.Unstructured) { o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "us"}}) }, false},
		"an annotation":        {func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"a": "b"}) }, true},
		"a label":              {func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"a": "b"}) }, true},
		"another object":       {func(o *unstructured.Unstructured) { o.SetUID("another") }, true},
		"its spec, and nothing that says so": {func(o *unstructured.Unstructured) {
			o.Object["spec"].(map[string]any)["mode"] = "warn"
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := read(policy("2", tt.change), first)
			if again := now.good != first.good; again != tt.again {
				t.Errorf("got it read again: %v, want %v", again, tt.again)
			}
			if now.seen.ResourceVersion != "2" {
				t.Errorf("seen: got version %s, want 2", now.seen.ResourceVersion)
			}
		})
	}
	count := 0
	rego := readOwn(resource.RegoPolicyKind, func(data []byte) (resource.RegoPolicy, error) {
		count++
		return resource.RegoPolicy{Name: "p"}, nil
	}, refusedRego)
	item := own[resource.RegoPolicy]{}
	for version := range 5 {
		item = rego(policy(fmt.Sprint(version), same), item)
	}
	if count != 1 || item.seen.ResourceVersion != "4" {
		t.Errorf("got it read %d times and seen at %s, want once and 4", count, item.seen.ResourceVersion)
	}
	root := readRoot(policy("1", same), rootItem{})
	if again := readRoot(policy("2", same), root); again.seen.ResourceVersion != "2" || again.cause != root.cause {
		t.Errorf("got %+v after %+v, want it as it was", again, root)
	}
}

// TestStatusesLoadNothing: a Watcher tells of no change when replicas write what became of policies.
func TestStatusesLoadNothing(t *testing.T) {
	t.Parallel()
	w := New(&kube.Client{Namespace: "security"}, slog.New(slog.DiscardHandler))
	if err := fill(t, w).Replace([]any{secretObject(t, "{cosign.pub: b25l}")}, "1"); err != nil {
		t.Fatal(err)
	}
	loads := 0
	load := func() {
		if w.publish() {
			loads++
		}
	}
	load()
	for version := range 20 {
		status := policyObject(t, "  images: [{glob: a.b/c}]\n  authorities: [{key: {secretRef: {name: key}}}]")
		status.SetResourceVersion(fmt.Sprint(100 + version))
		status.Object["status"] = map[string]any{"observedGeneration": int64(version)}
		if err := w.held.policies.Update(status); err != nil {
			t.Fatal(err)
		}
		load()
	}
	if got := w.Objects(); loads != 1 || got.Seen[0].ResourceVersion != "119" {
		t.Errorf("got %d loads and version %s, want the first load alone and version 119", loads, got.Seen[0].ResourceVersion)
	}
}
