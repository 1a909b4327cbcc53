package command_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/canary/command"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// run runs a command.
func run(t *testing.T, cmd *cobra.Command, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// packed is a bundle.
func packed() *archive.Archive {
	roots := []string{"policies/a"}
	return &archive.Archive{
		Manifest: opabundle.Manifest{Revision: "7", Roots: &roots},
		Files:    map[string][]byte{"policies/a/a.rego": []byte("package policies.a\n\ndeny contains \"no\" if false\n")},
	}
}

// pushed is a bundle in a registry, by tag and by digest.
func pushed(t *testing.T) (candidate, live, digest string) {
	t.Helper()
	hub := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(hub.Close)
	var bundle bytes.Buffer
	if err := archive.Write(&bundle, packed()); err != nil {
		t.Fatal(err)
	}
	image, err := artifact.Image(bundle.Bytes(), "7")
	if err != nil {
		t.Fatal(err)
	}
	repository := strings.TrimPrefix(hub.URL, "http://") + "/policies"
	candidate, live = repository+":candidate", repository+":live"
	at, err := artifact.Push(t.Context(), artifact.Way{Private: true}, candidate, image)
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ = strings.Cut(at, "@")
	return candidate, live, digest
}

// served is the digest of what is under a tag, "" for nothing.
func served(t *testing.T, ref string) string {
	t.Helper()
	client, err := oci.New(oci.WithPrivateRegistries())
	if err != nil {
		t.Fatal(err)
	}
	digest, err := client.Resolve(t.Context(), oci.Credentials{}, ref)
	if err != nil && !errors.Is(err, oci.NotFound) {
		t.Fatal(err)
	}
	return digest
}

func good(digest string) canary.Report {
	since := time.Now().Add(-2 * time.Hour)
	return canary.Report{
		Name: "main", Revision: "7", Digest: digest, Set: "00", Since: since, At: since.Add(2 * time.Hour),
		Decisions: map[canary.Outcome]int64{canary.Same: 600},
	}
}

func encoded(t *testing.T, r canary.Report) []byte {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// serving serves a report over TLS to who has the token, and writes what a client needs.
func serving(t *testing.T, handler http.HandlerFunc) (url string, flags []string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := errors.Join(os.WriteFile(ca, certificate, 0o600), os.WriteFile(token, []byte("secret\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return server.URL, []string{"--ca", ca, "--token-file", token}
}

// TestPromoteByReports of two replicas, which have enough decisions only together.
func TestPromoteByReports(t *testing.T) {
	t.Parallel()
	candidate, live, digest := pushed(t)
	one, flags := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(encoded(t, good(digest))) })
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, encoded(t, good(digest)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(flags, candidate, live)
	out, err := run(t, command.Promote(), append([]string{"--report", one}, args...)...)
	if !errors.Is(err, command.ErrNotPromoted) || !strings.Contains(out, "decisions: got 600 of known outcome, want at least 1000") || served(t, live) != "" {
		t.Errorf("one replica: got %q, %v, %q served, want it not promoted", out, err, served(t, live))
	}
	out, err = run(t, command.Promote(), append([]string{"--report", one, "--report", file}, args...)...)
	if err != nil || !strings.Contains(out, "promoted ") || served(t, live) != digest {
		t.Errorf("both: got %q, %v, %q served, want %s", out, err, served(t, live), digest)
	}
}

// TestPromoteByReportsOfContent: a candidate need not have come from the registry in which it is promoted.
func TestPromoteByReportsOfContent(t *testing.T) {
	t.Parallel()
	candidate, live, digest := pushed(t)
	report := good("")
	report.Content = packed().Set()
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, encoded(t, report), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, command.Promote(), "--report", file, "--min-decisions", "600", candidate, live); err != nil || served(t, live) != digest {
		t.Errorf("got %q, %v, %q served, want %s", out, err, served(t, live), digest)
	}
}

// TestPromoteByHand needs no report, and gives the very bytes the other tag.
func TestPromoteByHand(t *testing.T) {
	t.Parallel()
	candidate, live, digest := pushed(t)
	if out, err := run(t, command.Promote(), candidate, live); err != nil || served(t, live) != digest {
		t.Errorf("got %q, %v, %q served, want %s", out, err, served(t, live), digest)
	}
}

// TestPromoteRefuses what the reports do not speak for, whatever else they say.
func TestPromoteRefuses(t *testing.T) {
	t.Parallel()
	candidate, live, digest := pushed(t)
	for name, tt := range map[string]struct {
		change func(*canary.Report)
		want   string
	}{
		"another bundle": {func(r *canary.Report) { r.Digest = "sha256:00" }, "the reports are about another bundle: got digest sha256:00, want " + digest},
		"nothing of it":  {func(r *canary.Report) { r.Digest = "" }, "the reports do not say what the bundle is"},
		"other content":  {func(r *canary.Report) { r.Digest, r.Content = "", "00" }, "the reports are about another bundle: got content 00, want " + packed().Set()},
		"other revision": {
			func(r *canary.Report) { r.Digest, r.Content, r.Revision = "", packed().Set(), "8" }, `the reports are about another bundle: got revision "8", want "7"`,
		},
		"other content under its digest":  {func(r *canary.Report) { r.Content = "00" }, "the reports are about another bundle: got content 00"},
		"other revision under its digest": {func(r *canary.Report) { r.Revision = "8" }, `the reports are about another bundle: got revision "8", want "7"`},
		"one unknown":                     {func(r *canary.Report) { r.Decisions[canary.Unknown] = 1 }, "drop: unknown: got 1 decisions, want at most 0"},
		"one difference":                  {func(r *canary.Report) { r.Decisions[canary.NewlyAllowed] = 1 }, "drop: differences: got 1 decisions"},
		"does not compile":                {func(r *canary.Report) { r.Error = "x" }, "drop: the candidate does not compile: x"},
		"no candidate":                    {func(r *canary.Report) { *r = canary.Report{} }, "the reports do not say what the bundle is"},
		"hardly any judged":               {func(r *canary.Report) { r.Dropped = 601 }, "wait: not judged: got 601 decisions, want at most the 600 that were"},
		"of yesterday":                    {func(r *canary.Report) { r.At = r.Since.Add(59 * time.Minute) }, "wait: at: got a report of "},
		"nothing judged":                  {func(r *canary.Report) { r.Decisions = nil }, "wait: decisions: got 0 of known outcome, want at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			report := good(digest)
			tt.change(&report)
			file := filepath.Join(t.TempDir(), "report.json")
			if err := os.WriteFile(file, encoded(t, report), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := run(t, command.Promote(), "--report", file, "--min-decisions", "0", "--min-time", "0", candidate, live)
			if !errors.Is(err, command.ErrNotPromoted) || !strings.Contains(out, tt.want) {
				t.Errorf("got %q, %v, want %q", out, err, tt.want)
			}
		})
	}
	if got := served(t, live); got != "" {
		t.Errorf("got %s served, want nothing", got)
	}
}

// TestReportThatCannotBeRead promotes nothing and is not taken for an empty one.
func TestReportThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"an error":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "got status 500, want 200"},
		"a redirect":     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, "got status 302, want 200"},
		"something else": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"kind":"Status"}`)) }, `report: json: unknown field "kind"`},
		"nothing":        {func(http.ResponseWriter, *http.Request) {}, "report: EOF"},
		"more than one":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{} {}`)) }, "got more than one JSON value"},
		"more than anybody": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), canary.MostBytes+2))
		}, "want at most"},
		"a stall": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, flags := serving(t, tt.handler)
			timeout := "1m"
			if name == "a stall" {
				timeout = "100ms"
			}
			_, err := run(t, command.Canary(), append(flags, "--timeout", timeout, "--url", at)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	at, flags := serving(t, func(http.ResponseWriter, *http.Request) {})
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"an unknown authority": {[]string{"--url", at}, "certificate"},
		"no token":             {append(flags[:2:2], "--url", at), "got status 401, want 200"},
		"a report over http":   {append(flags[2:], "--url", strings.Replace(at, "https", "http", 1)), "got a report over http, want https or a file"},
		"a CA that is none":    {[]string{"--ca", flags[3], "--url", at}, "got no certificate"},
		"no CA":                {[]string{"--ca", "/does/not/exist", "--url", at}, "--ca: "},
		"no such output":       {[]string{"--url", at, "-o", "yaml"}, `--output: got "yaml"`},
	} {
		if _, err := run(t, command.Canary(), tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// TestACandidateThatIsNotTried is shown with its cause, on lines that are not taken for ours.
func TestACandidateThatIsNotTried(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		report canary.Report
		want   string
	}{
		"none":          {canary.Report{}, "there is no candidate\n"},
		"cannot be had": {canary.Report{At: time.Now(), Error: "bundle main: a\nb\x1b"}, "there is no candidate: bundle main: a\n  b\uFFFD\n"},
		"a later one":   {func() canary.Report { r := good("sha256:00"); r.Source = "bundle main: a\nb"; return r }(), "\n  not the latest: bundle main: a\n  b\n  same           600\n"},
	} {
		file := filepath.Join(t.TempDir(), "report.json")
		if err := os.WriteFile(file, encoded(t, tt.report), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, command.Canary(), "--url", file); err != nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: got %q, %v, want %q", name, out, err, tt.want)
		}
	}
}
