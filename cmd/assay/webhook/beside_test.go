package webhook

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle"
)

// reloads reports whether files are loaded, before ctx ends.
func reloads(ctx context.Context, r *reloader) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.reload(context.WithoutCancel(ctx))
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("got a load that waits, want it beside what is prepared")
	}
}

// askFirst has tests of a bundle wait for an answer, where its data say of whom.
func askFirst() {
	var data struct{ Asks string }
	text, err := os.ReadFile("data.json")
	if err != nil || json.Unmarshal(text, &data) != nil || data.Asks == "" {
		return
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(data.Asks) //nolint:noctx // it has the time of the client
	if err != nil {
		os.Exit(2)
	}
	_ = answer.Body.Close()
}

// TestAnActivationThatIsPreparedHoldsBackNoLoad: the tests of a bundle may take minutes.
func TestAnActivationThatIsPreparedHoldsBackNoLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := newBucket(t, map[string][]byte{})
	writeFiles(t, dir, map[string]string{"file.yaml": strings.Replace(denying("a.io/**", ""), `"p"`, `"file"`, 1)})
	f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, from *bundled.Flags) {
		flags.Policies, from.Tests = []string{dir}, true
	})
	// The tests of the bundle end once the file is loaded.
	asked := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		writeFiles(t, dir, map[string]string{"file.yaml": strings.Replace(denying("b.io/**", ""), `"p"`, `"later"`, 1)})
		if err := reloads(request.Context(), f.reloader); err != nil {
			t.Error(err)
		}
		if got := f.reloader.engine.Set().Policies(); len(got) != 1 || got[0] != "later" {
			t.Errorf("while the tests run: got %v, want the policy of the file as it is now", got)
		}
	}))
	t.Cleanup(asked.Close)
	files.put("main", bundleOf(t, `{"revision": "1", "roots": ["resources/ClusterImagePolicy/p", "x_test", "asks"]}`, map[string]string{
		"resources/ClusterImagePolicy/p/data.json": denying("c.io/**", ""),
		"x_test.rego": "package x_test\n\ntest_asks if startswith(data.asks, \"http\")\n",
		"data.json":   `{"asks": "` + asked.URL + `"}`,
	}))
	f.fetch()
	for image, want := range map[string]string{"b.io/x": "failed policy: later", "c.io/x": "failed policy: p"} {
		if got := f.says(image + digest); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", image, got, want)
		}
	}
}

// TestACandidateThatIsReadHoldsBackNoLoad, however long what it refers to takes, and what
// serves forgets nothing of what it refers to.
func TestACandidateThatIsReadHoldsBackNoLoad(t *testing.T) {
	t.Parallel()
	const named = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "n"}, "spec": {
		"images": [{"glob": "n.io/**"}], "authorities": [{"key": {"kms": "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1"}}]}}`
	r, write := started(t)
	asked := 0
	r.wiring.Resolver = keys.New(keys.Options{KMS: func(ctx context.Context, _ string) (crypto.PublicKey, error) {
		asked++
		write(strings.Replace(denying("b.io/**", ""), `"p"`, `"later"`, 1))
		if err := reloads(ctx, r); err != nil {
			t.Error(err)
		}
		return nil, errors.New("the KMS is down")
	}})
	next := bundle.Content{Resources: []bundle.Resource{{Bundle: "main", Path: "resources/ClusterImagePolicy/n", Document: []byte(named)}}}
	policies, err := r.tried(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(policies.Source.Policies); asked != 1 || got != 2 {
		t.Errorf("got %d questions and %d policies, want 1 and the policies of the candidate and the file", asked, got)
	}
	if got := r.engine.Set().Policies(); len(got) != 1 || got[0] != "later" {
		t.Errorf("got %v, want the file as it is now, and nothing of the candidate", got)
	}
}

// TestWhatPanicsOnGoroutinesOfOthers is not the end of the process: a candidate is read, and bundles are taken out, where
// nobody above recovers.
func TestWhatPanicsOnGoroutinesOfOthers(t *testing.T) {
	t.Parallel()
	r, _ := started(t)
	r.bundles = &bundled.Bundles{}
	before := r.engine.Set()
	r.wiring.Resolver = nil // which nothing is read with
	next := bundle.Content{Resources: []bundle.Resource{{Bundle: "main", Path: "resources/ClusterImagePolicy/n", Document: []byte(withKMS)}}}
	if _, err := r.tried(t.Context(), next); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("a candidate: got %v, want the panic as an error", err)
	}
	r.removed(t.Context(), next)
	if r.failure == nil || r.engine.Set() != before {
		t.Errorf("without a bundle: got %v, want a failure, and what served to serve", r.failure)
	}
}
