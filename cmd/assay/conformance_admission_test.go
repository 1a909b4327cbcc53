package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/webhook"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
)

// startWebhook runs the webhook over the policies on loopback, without TLS, and
// returns its address.
func startWebhook(t *testing.T, flags wiring.Flags) string {
	t.Helper()
	flags.NoMatch, flags.IdentityRegexp, flags.InlinePolicies, flags.PrivateRegistries = "deny", "upstream", "upstream", true
	running, err := webhook.Listen(t.Context(), flags, server.Config{
		Addr: "127.0.0.1:0", InsecurePlainHTTP: true, DrainDelay: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}, "test")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- running.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + running.Addr()
}

// post sends a review and returns the status and the body of the answer.
func post(t *testing.T, url string, review []byte) (int, []byte) {
	t.Helper()
	response, err := http.Post(url, "application/json", bytes.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// TestConformanceAdmission sends the reviews of other projects to the webhook:
// none crashes it, none is admitted without a policy unless there is nothing to
// run, and the images found are the expected ones.
func TestConformanceAdmission(t *testing.T) {
	data := conformanceData(t)
	var expected map[string]struct {
		Images            [][2]string
		DeletionTimestamp *string
	}
	if err := readJSON(filepath.Join(data, "admission", "expected.json"), &expected); err != nil {
		t.Fatal(err)
	}
	w, err := wiring.New(wiring.Flags{
		Policies: []string{t.TempDir()}, NoMatch: "deny", IdentityRegexp: "upstream", InlinePolicies: "upstream", PrivateRegistries: true,
		TUF: wiring.TUFFlags{Cache: t.TempDir()},
	}, "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := w.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := w.Compile(t.Context(), documents)
	if err != nil {
		t.Fatal(err)
	}
	engine := rego.NewEngine(set, nil)
	url := startWebhook(t, wiring.Flags{Policies: []string{t.TempDir()}, TUF: wiring.TUFFlags{Cache: t.TempDir()}})
	for file, want := range expected {
		t.Run(file, func(t *testing.T) {
			review, err := os.ReadFile(filepath.Join(data, "admission", file))
			if err != nil {
				t.Fatal(err)
			}
			status, body := post(t, url+"/validate", review)
			if status != http.StatusOK && status != http.StatusBadRequest {
				t.Errorf("status: got %d, want 200 or 400: %s", status, body)
			}
			if want.DeletionTimestamp != nil || status != http.StatusOK {
				return
			}
			decision, err := engine.Decide(t.Context(), review)
			if err != nil {
				t.Fatal(err)
			}
			var got, wanted []string
			for _, image := range decision.Images {
				got = append(got, image.Image)
			}
			for _, image := range want.Images {
				wanted = append(wanted, image[1])
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
			var answer struct{ Response struct{ Allowed bool } }
			if err := json.Unmarshal(body, &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Response.Allowed {
				t.Errorf("admitted without a policy: %s", body)
			}
		})
	}
}
