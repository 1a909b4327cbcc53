package webhook

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDecisionsAreLogged: as OPA logs its own, with the bundle that decided.
func TestDecisionsAreLogged(t *testing.T) {
	t.Parallel()
	type event struct {
		Path    string
		Labels  map[string]string
		Bundles map[string]struct{ Revision string }
		Result  struct{ Allowed bool }
		Input   struct {
			Request struct{ UID string }
		}
	}
	events := make(chan event, 100)
	body := failing(t, "7", "p", "a.io/**", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(body)
			return
		}
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		var chunk []event
		if err := json.NewDecoder(zipped).Decode(&chunk); err != nil {
			t.Error(err)
		}
		for _, e := range chunk {
			events <- e
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	config := manual(t, server.URL, "main") + "labels: {cluster: one}\ndecision_logs: {service: s, reporting: {min_delay_seconds: 1, max_delay_seconds: 1}}\n" +
		"status: {plugin: assay_store}\nplugins: {assay_store: {url: 'file://" + dir + "'}}\n"
	f := withBundles(t, config, nil)
	f.fetch()
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: p") {
		t.Fatalf("got %q, want a denial", got)
	}
	got := <-events
	if got.Path != "assay/admission/decision" || got.Labels["cluster"] != "one" || got.Bundles["main"].Revision != "7" || got.Result.Allowed || got.Input.Request.UID == "" {
		t.Errorf("got %+v, want the decision with its bundle and labels", got)
	}
	if got := get(t, f.url, "/metrics"); !strings.Contains(got, `assay_decision_log_entries_total{place="file_logger",result="failed"} 0`) {
		t.Error("metrics: got no count of what was not lost, want zero: the first loss would be no increase")
	}
	f.becomes("the count", func() string { return get(t, f.url, "/metrics") }, `assay_decision_log_entries_total{place="queue",result="delivered"} 1`)
	f.becomes("the status", func() string {
		found, _ := filepath.Glob(filepath.Join(dir, "*", "*", "status.json"))
		if len(found) == 0 {
			return ""
		}
		text, _ := os.ReadFile(found[0])
		return string(text)
	}, `"active_revision":"7"`)
}

// TestDenialsOfTheGateAreLogged: policies do not judge then, and an outage that no log has is no evidence.
func TestDenialsOfTheGateAreLogged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.log")
	files := newBucket(t, nil)
	config := manual(t, files.URL, "main") + "decision_logs: {plugin: file_logger}\nplugins: {file_logger: {path: '" + path + "'}}\n"
	f := withBundles(t, config, nil)
	const cause = "bundle main is not active yet: try again"
	if got := f.says("a.io/x" + digest); !strings.Contains(got, cause) {
		t.Fatalf("got %q, want a denial", got)
	}
	f.stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Path   string
		Result any
		Input  struct{ Request struct{ UID string } }
		Custom struct{ Call, Error string }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got.Path != "assay/admission/decision" || got.Custom.Call != "validate" || got.Custom.Error != cause || got.Result != nil || got.Input.Request.UID == "" {
		t.Errorf("got %+v, want the review without a decision, and the cause", got)
	}
}
