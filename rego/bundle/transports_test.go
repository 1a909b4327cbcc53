package bundle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"
)

// delta is a bundle that changes one number of another.
func delta(t *testing.T, revision string, roots []string, path string, value any) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := opabundle.NewWriter(&out).Write(opabundle.Bundle{
		Manifest: opabundle.Manifest{Revision: revision, Roots: &roots},
		Patch:    opabundle.Patch{Data: []opabundle.PatchOperation{{Op: "upsert", Path: path, Value: value}}},
	}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDeltasPassTheGate as what they make of the bundle that they change.
func TestDeltasPassTheGate(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	s.put("/a.tar.gz", tarball(t, "1", []string{"numbers", "policies/one"}, map[string]string{"/numbers/data.json": `{"x": 1}`, "/policies/one.rego": policyRego}))
	m := open(t, manually(s.URL, "a"), served, nil)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put("/a.tar.gz", delta(t, "2", []string{"numbers", "policies/one"}, "/numbers/x", json.Number("2")))
	served.refuses(errRefused)
	if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), errRefused.Error()) {
		t.Fatalf("got %v, want the refusal", err)
	}
	served.refuses(nil)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"numbers": map[string]any{"x": json.Number("2")}}
	if diff := cmp.Diff(want, served.last().Data); diff != "" || served.last().Modules["a/policies/one.rego"] == "" {
		t.Errorf("got %v, want the Rego of the snapshot (-want +got):\n%s", served.last().Modules, diff)
	}
	if got := m.Statuses()["a"].Revision; got != "2" {
		t.Errorf("got revision %s, want 2", got)
	}
}

// TestLongPolling: the server answers when there is something new.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	bodies := make(chan []byte, 2)
	bodies <- tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	revision := 0
	s.answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case body := <-bodies:
			revision++
			w.Header().Set("ETag", fmt.Sprint(revision))
			w.Header().Set("Content-Type", "application/vnd.openpolicyagent.bundles")
			_, _ = w.Write(body)
		case <-r.Context().Done():
		}
	})
	config := "services: {s: {url: " + s.URL + "}}\nbundles: {a: {service: s, resource: a.tar.gz, polling: {long_polling_timeout_seconds: 60}}}\n"
	m := open(t, config, served, nil)
	becomes := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); m.Statuses()["a"].Revision != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got revision %s, want %s", m.Statuses()["a"].Revision, want)
			}
		}
	}
	becomes("1")
	bodies <- tarball(t, "2", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	becomes("2")
}

// TestCredentialsOfServices are sent as OPA has them, to the host of the service alone.
func TestCredentialsOfServices(t *testing.T) {
	t.Parallel()
	s, other, served := newService(t), newService(t), &side{}
	body := tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	s.answer(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/moved.tar.gz":
			http.Redirect(w, r, other.URL+"/a.tar.gz", http.StatusFound)
		case r.URL.Path == "/near.tar.gz":
			http.Redirect(w, r, "/a.tar.gz", http.StatusFound)
		default:
			_, _ = w.Write(body)
		}
	})
	other.put("/a.tar.gz", body)
	config := func(resource string) string {
		return "services: {s: {url: " + s.URL + ", credentials: {bearer: {token: token}}}}\nbundles: {a: {service: s, resource: " + resource + ", trigger: manual}}\n"
	}
	if err := open(t, config("near.tar.gz"), served, nil).Trigger(t.Context()); err != nil {
		t.Errorf("redirected within the host: got %v, want the bundle", err)
	}
	if err := open(t, config("moved.tar.gz"), served, nil).Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "redirected") {
		t.Errorf("redirected elsewhere: got %v, want a refusal", err)
	}
	if other.asked != 0 {
		t.Errorf("got %d requests to another host, want none", other.asked)
	}
}
