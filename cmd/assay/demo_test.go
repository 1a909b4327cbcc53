package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDemoTellsItsStory wants what the README promises, in order.
func TestDemoTellsItsStory(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"demo"}, &out, &log); code != exitAdmitted {
		t.Fatalf("exit code: got %d, want 0\n%s", code, &log)
	}
	if log.Len() > 0 {
		t.Errorf("log: got\n%s\nwant none", &log)
	}
	rest := out.String()
	for _, want := range []string{
		"the webhook has no policy yet",
		"kubectl run demo --image=127.0.0.1:", "/acme/signed:v1\n",
		"POST /mutate    replace /spec/containers/0/image\n", "/acme/signed:v1@sha256:",
		"POST /validate  denied, validation failed: no matching policies: spec.containers[0].image\n",
		"Apply a ClusterImagePolicy:", "kind: ClusterImagePolicy",
		"It becomes this Rego", "# spec.authorities[0]",
		"Signed by the release workflow:", "POST /validate  allowed\n",
		"Not signed at all:",
		"POST /validate  denied, validation failed: failed policy: released-by-acme: spec.containers[0].image\n", "no signatures found",
		"Signed, but by somebody else:",
		"POST /validate  denied, validation failed: failed policy: released-by-acme: spec.containers[0].image\n",
		"none of the expected identities matched what was in the certificate, got subjects [mallory@example.com]",
		"with a provenance attestation of the release workflow:", "POST /validate  allowed\n",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("got\n%s\nwant %q next in\n%s", &out, want, rest)
		}
		rest = after
	}
	if rest != "" {
		t.Errorf("after the story: got %q, want nothing", rest)
	}
}

// curlPattern and verifyPattern read the commands that the demo prints.
var (
	verifyPattern = regexp.MustCompile(`(?m)^  assay (verify --policy \S+ --trusted-root \S+ \S+)$`)
	curlPattern   = regexp.MustCompile(`(?m)^  curl --cacert (\S+) -H 'Content-Type: application/json' -d '([^']+)' (https://\S+)$`)
)

// TestDemoKeepsRunning does what the printed commands do while the demo is
// left running, and then ends it.
func TestDemoKeepsRunning(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out, ended := newJournal(), make(chan int, 1)
	go func() { ended <- run(ctx, []string{"demo", "--keep"}, out, io.Discard) }()
	found, err := out.wait(curlPattern)
	if err != nil {
		t.Fatal(err)
	}
	authority, review, url := found[1], found[2], found[3]
	certificate, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	response, err := client.Post(url, "application/json", strings.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	want := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"command-line","allowed":true}}`
	if got := strings.TrimSpace(string(body)); err != nil || got != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
	verify, err := out.wait(verifyPattern)
	if err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), strings.Fields(verify[1]), io.Discard, io.Discard); code != exitDenied {
		t.Errorf("%s: got exit code %d, want that of a denial", verify[1], code)
	}
	interrupt()
	if code := <-ended; code != exitAdmitted {
		t.Errorf("exit code: got %d, want 0", code)
	}
	if _, err := os.Stat(filepath.Dir(authority)); !os.IsNotExist(err) {
		t.Errorf("the demo's directory: got %v, want it gone", err)
	}
}
