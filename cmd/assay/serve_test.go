package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// keylessPolicy asks for a signature of anybody on the images of a registry.
const keylessPolicy = `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: signed}
spec:
  images: [{glob: "${registry}/**"}]
  authorities: [{keyless: {identities: [{issuerRegExp: .*, subjectRegExp: .*}]}}]
`

// smallWorld has one image of one signature, and one without.
func smallWorld(t *testing.T) *world.World {
	t.Helper()
	description, err := world.Parse([]byte(`
signers:
  jane: {issuer: https://github.com/login/oauth, subject: jane@example.com}
images:
  app: {repository: acme/app, signatures: [{signer: jane}]}
  unsigned: {repository: acme/unsigned}
`))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// flagsFor writes the trusted root of a world and a policy about a registry.
func flagsFor(t *testing.T, w *world.World, policy string) wiring.Flags {
	t.Helper()
	dir := t.TempDir()
	root, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	flags := wiring.Flags{Policies: []string{filepath.Join(dir, "policy.yaml")}, TrustedRoot: filepath.Join(dir, "trusted_root.json")}
	for file, content := range map[string][]byte{flags.Policies[0]: []byte(policy), flags.TrustedRoot: root} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return flags
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	url := startWebhook(t, flagsFor(t, w, w.Expand(keylessPolicy)))
	review, err := reviews.Pod([]string{w.Expand("${app@}")})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		method, path, contentType, body string
		status                          int
		want                            string
	}{
		"no review":              {"POST", "/validate", "application/json", "", 400, "review: got an empty body, want an AdmissionReview"},
		"no JSON":                {"POST", "/mutate", "application/json", "{", 400, "review: got invalid JSON at byte 1, want one JSON document"},
		"another kind":           {"POST", "/validate", "application/json", `{"kind":"Pod"}`, 400, "kind: got \"Pod\", want AdmissionReview"},
		"no uid":                 {"POST", "/validate", "application/json", strings.Replace(string(review), `"uid":"command-line"`, `"uid":""`, 1), 400, "request.uid: got none, want the uid that the answer repeats"},
		"a timeout that is none": {"POST", "/validate?timeout=soon", "application/json", string(review), 400, "timeout: got \"soon\", want a positive duration such as 10s"},
		"another method":         {"GET", "/validate", "", "", 405, "Method Not Allowed"},
		"another route":          {"POST", "/verify", "application/json", string(review), 404, "Not Found"},
		"another content type":   {"POST", "/validate", "application/yaml", string(review), 415, "content type: got \"application/yaml\", want application/json"},
		"a body over the limit":  {"POST", "/validate", "application/json", strings.Repeat(" ", 19<<20) + string(review), 413, "want at most 19922944"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), test.method, url+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", test.contentType)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.TrimSpace(string(body))
			if test.method == http.MethodPost {
				var status struct{ Kind, Message string }
				if err := json.Unmarshal(body, &status); err != nil || status.Kind != "Status" {
					t.Errorf("got %s, %v, want a Status", body, err)
				}
				got = status.Message
			}
			if response.StatusCode != test.status || !strings.HasSuffix(got, test.want) {
				t.Errorf("got %d %q, want %d %q", response.StatusCode, got, test.status, test.want)
			}
		})
	}
}

// TestReplicasAgree asks two webhooks with the same files, in turn and twice:
// what one remembers changes no answer.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	flags := flagsFor(t, w, w.Expand(keylessPolicy))
	first, second := startWebhook(t, flags), startWebhook(t, flags)
	for _, image := range []string{"${app@}", "${unsigned@}", "${app}", "${registry}/gone@" + w.Expand("${digest:app}"), ""} {
		review, err := reviews.Pod([]string{w.Expand(image), w.Expand("${app@}")})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/validate", "/mutate"} {
			_, want := post(t, first+path, review)
			for _, url := range []string{second, first, second} {
				if _, got := post(t, url+path, review); !bytes.Equal(got, want) {
					t.Errorf("%s of %q (-first +other):\n%s", path, image, cmp.Diff(string(want), string(got)))
				}
			}
		}
	}
}

// tarpit is a registry that takes every request and answers none.
func tarpit(t *testing.T) (host string) {
	t.Helper()
	closing := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-closing:
		}
	}))
	t.Cleanup(func() {
		close(closing)
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://")
}

// TestHangingRegistryIsDeniedInTime lets the API server give a second, and wants
// its answer, with the cause, before that is over.
func TestHangingRegistryIsDeniedInTime(t *testing.T) {
	t.Parallel()
	w, host := smallWorld(t), tarpit(t)
	flags := flagsFor(t, w, strings.ReplaceAll(keylessPolicy, "${registry}", host))
	url := startWebhook(t, flags)
	image := host + "/acme/app@" + w.Expand("${digest:app}")
	for path, want := range map[string]string{
		"/validate": `"allowed":false,"status":{"metadata":{},"status":"Failure","message":"validation failed: ` +
			`failed policy: signed: spec.containers[0].image\n` + image + ` signature keyless validation failed for authority authority-0 for ` + image + ": ",
		"/mutate": `"allowed":true,"warnings":["spec.containers[0].image: ` + host + "/acme/app:v1 stays a tag: timeout: ",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			review, err := reviews.Pod([]string{map[string]string{"/validate": image, "/mutate": host + "/acme/app:v1"}[path]})
			if err != nil {
				t.Fatal(err)
			}
			status, body, took := http.StatusOK, []byte(nil), time.Hour
			// A machine with other things to do may miss the margin that is kept: not every time.
			for range 30 {
				began := time.Now()
				status, body = post(t, url+path+"?timeout=1s", review)
				if took = time.Since(began); took < time.Second {
					break
				}
			}
			if took >= time.Second {
				t.Errorf("got the answer after %s, want it within 1s", took)
			}
			if status != http.StatusOK || !strings.Contains(string(body), want) || !strings.Contains(string(body), "answer in time") {
				t.Errorf("got %d %s, want 200 with %s… answer in time", status, body, want)
			}
		})
	}
	t.Run("verify", func(t *testing.T) {
		t.Parallel()
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{
			"verify", "-o", "json", "--timeout", "5s", "--policy", flags.Policies[0], "--trusted-root", flags.TrustedRoot, image,
		}, &stdout, &stderr)
		var decision rego.Decision
		if err := json.Unmarshal(stdout.Bytes(), &decision); code != exitDenied || err != nil {
			t.Fatalf("got exit code %d, %v, %s, want %d and a decision", code, err, &stderr, exitDenied)
		}
		if got := decision.Images[0].Policies[0].Authorities[0].Error; got == nil || got.Code != "timeout" {
			t.Errorf("error: got %v, want the code timeout", got)
		}
	})
}
