package dataapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	logtest "github.com/open-policy-agent/opa/v1/logging/test"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/dataapi"
)

// TestAnErrorIsLoggedAsWhatOPAReads: its upload reads entries back, and one that it cannot read takes
// all others of its chunk along.
func TestAnErrorIsLoggedAsWhatOPAReads(t *testing.T) {
	t.Parallel()
	answer, console, _ := asked(t, "")
	if answer.Code != http.StatusInternalServerError {
		t.Fatalf("got %d %s, want an answer that there is none", answer.Code, answer.Body)
	}
	entries := console.Entries()
	if len(entries) == 0 {
		t.Fatal("got no entry, want one")
	}
	entry, err := json.Marshal(entries[len(entries)-1].Fields)
	if err != nil {
		t.Fatal(err)
	}
	var event logs.EventV1
	if err := json.Unmarshal(entry, &event); err != nil {
		t.Fatalf("got an entry that OPA cannot read: %v: %s", err, entry)
	}
	if text, _ := event.Custom["error"].(string); event.Error != nil || !strings.Contains(text, "conflict") {
		t.Errorf("got %s, want why there is no answer in custom.error", entry)
	}
}

// TestAMaskThatNothingDefinesLogsNothing, as with decisions: OPA would log it all.
func TestAMaskThatNothingDefinesLogsNothing(t *testing.T) {
	t.Parallel()
	_, console, log := asked(t, ", mask_decision: /x/mask")
	for _, entry := range console.Entries() {
		if entry.Fields["type"] == logs.DecisionLogType {
			t.Errorf("got %v, want no entry", entry.Fields)
		}
	}
	found := false
	for _, entry := range log.Entries() {
		found = found || strings.Contains(entry.Message, "decision_logs.mask_decision: got /x/mask, which nothing defines")
	}
	if !found {
		t.Errorf("got %v, want a line that says why", log.Entries())
	}
}

// asked asks for a document that is in conflict, and has the answer, the console and the log.
func asked(t *testing.T, more string) (answer *httptest.ResponseRecorder, console, log *logtest.Logger) {
	t.Helper()
	console, log = logtest.New(), logtest.New()
	store := inmem.New()
	m, err := plugins.New([]byte("decision_logs: {console: true"+more+"}"), "id", store, plugins.ConsoleLogger(console), plugins.Logger(log))
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.New(m)
	if err != nil {
		t.Fatal(err)
	}
	m.Register(discovery.Name, found)
	if err := storage.Txn(t.Context(), store, storage.WriteParams, func(txn storage.Transaction) error {
		return store.UpsertPolicy(t.Context(), txn, "x.rego", []byte("package x\nimport rego.v1\ny := 1 if input.a\ny := 2 if input.b"))
	}); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop(t.Context()) })
	handler, err := dataapi.New(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	answer = httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/v1/data/x/y", strings.NewReader(`{"input": {"a": true, "b": true}}`)))
	return answer, console, log
}
