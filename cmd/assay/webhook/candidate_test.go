package webhook

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// TestACandidateIsTriedBesideWhatServes: on the same decisions, together with the policies of
// files, and it decides nothing.
func TestACandidateIsTriedBesideWhatServes(t *testing.T) {
	t.Parallel()
	static := func(name, glob, action string) string {
		return `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "` + name + `"}, "spec": {
			"images": [{"glob": "` + glob + `"}], "authorities": [{"static": {"action": "` + action + `"}}]}}`
	}
	packed := func(revision, action string) []byte {
		return bundleOf(t, `{"revision": "`+revision+`", "roots": ["resources/ClusterImagePolicy/main"]}`, map[string]string{
			"resources/ClusterImagePolicy/main/data.json": static("main", "a.io/**", action),
		})
	}
	files := newBucket(t, map[string][]byte{"main": packed("1", "fail"), "next": packed("2", "pass")})
	dir, token := t.TempDir(), filepath.Join(t.TempDir(), "token")
	writeFiles(t, dir, map[string]string{"file.yaml": static("file", "b.io/**", "fail")})
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(manual(t, files.URL, "main"), "trigger: manual, persist: true", "polling: {min_delay_seconds: 1, max_delay_seconds: 1}")
	f := withBundles(t, config, func(flags *wiring.Flags, from *bundled.Flags) {
		flags.Policies, from.Token, from.Canary = []string{dir}, token, map[string]string{"main": "next"}
		from.Try.Share, from.Try.Sample = 1, 1
	})
	f.becomes("the bundle", f.about("a.io/x"+digest), "failed policy: main")
	report := func() (out canary.Report) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/canary", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer secret")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return out
	}
	f.becomes("the candidate", func() string { return report().Revision }, "2")
	f.becomes("a decision that the candidate changes", func() string {
		f.says("a.io/x" + digest)
		f.says("b.io/x" + digest)
		got := report()
		if got.Decisions[canary.NewlyAllowed] > 0 && got.Decisions[canary.Same] > 0 {
			return "both outcomes"
		}
		return ""
	}, "both outcomes")
	if got := report(); got.Decisions[canary.Unknown] != 0 || got.Decisions[canary.NewlyDenied] != 0 {
		t.Errorf("got %v, want decisions that are the same or newly allowed", got.Decisions)
	}
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: main") {
		t.Errorf("got %q, want what serves to decide", got)
	}
	if got := get(t, f.url, "/canary"); !strings.Contains(got, "want Authorization") {
		t.Errorf("without a token: got %.100q, want a refusal", got)
	}
	if got := get(t, f.url, "/metrics"); !strings.Contains(got, `assay_canary_decisions_total{outcome="newly_allowed"} `) {
		t.Error("metrics: got no decisions of the candidate")
	}
}
