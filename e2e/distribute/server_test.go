package distribute_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/process"
)

// server is a process of assay, or of opa.
type server struct {
	url     string
	client  *http.Client
	process *process.Process
}

// start runs a program that serves with the certificate of NAME.crt and NAME.key at a free address.
func (s *story) start(ts *testscript.TestScript, name, ready string, command func(host string) []string) {
	address := s.network.Address(1, len(s.servers)+1)
	host, err := loopback.FreePort(address)
	ts.Check(err)
	certificate, key, err := s.authority.Server(address)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name+".crt"), certificate, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(name+".key"), key, 0o600))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.authority.PEM)
	out := &server{url: "https://" + host, client: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}}
	// The environment is that of the story, and nothing of the test's.
	out.process, err = process.Start(ts.MkAbs("."), name, "/usr/bin/env", append(append([]string{"-i"}, s.env.Vars...), command(host)...)...)
	ts.Check(err)
	s.servers[name] = out
	ts.Defer(func() { out.process.Stop(s.t) })
	ts.Check(out.process.Await(s.t.Context(), func(ctx context.Context) error {
		_, err := out.read(ctx, http.MethodGet, ready, "", nil)
		return err
	}))
}

func startServer(ts *testscript.TestScript, s *story, args []string) {
	name, args := args[0], args[1:]
	var environment []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && strings.Contains(args[0], "=") {
		environment, args = append(environment, args[0]), args[1:]
	}
	s.start(ts, name, "/healthz", func(host string) []string {
		return append(append(environment,
			s.assay, "serve", "--addr", host, "--tls-cert", name+".crt", "--tls-key", name+".key", "--allow-private-registries"), args...)
	})
}

func startPeer(ts *testscript.TestScript, s *story, args []string) {
	program, err := opa(s.t.Context())
	ts.Check(err)
	s.start(ts, args[0], "/health?bundles", func(host string) []string {
		return []string{
			program, "run", "--server", "--addr", "https://" + host, "--tls-cert-file", args[0] + ".crt",
			"--tls-private-key-file", args[0] + ".key", "--config-file", args[1], "--disable-telemetry",
		}
	})
}

func (s *story) named(ts *testscript.TestScript, name string) *server {
	out, ok := s.servers[name]
	if !ok {
		ts.Fatalf("got no server %s", name)
	}
	return out
}

func crash(ts *testscript.TestScript, s *story, args []string) {
	s.named(ts, args[0]).process.Kill()
}

// read asks for a page, and wants 200.
func (s *server) read(ctx context.Context, method, path, token string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	page, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return page, fmt.Errorf("%s %s: got %s: %s", method, path, response.Status, page)
	}
	return page, nil
}

// digest is that of every image: no registry is asked what it is.
const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

type object = map[string]any

// request is that of a review: of a Pod with an image, or of the object of a file.
func request(ts *testscript.TestScript, of string) object {
	out := object{
		"uid": "story", "operation": "CREATE", "namespace": "default", "name": "pod",
		"kind":     object{"group": "", "version": "v1", "kind": "Pod"},
		"resource": object{"group": "", "version": "v1", "resource": "pods"},
	}
	if strings.HasSuffix(of, ".yaml") {
		ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(of)), &out))
		return out
	}
	if !strings.Contains(of, "@") {
		of += digest
	}
	out["object"] = object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "pod", "namespace": "default"},
		"spec": object{"containers": []object{{"name": "main", "image": of}}},
	}
	return out
}

// review says what becomes of a request: allowed, or why not.
func (s *server) review(ctx context.Context, request object) (string, error) {
	body, err := json.Marshal(object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
	if err != nil {
		return "", err
	}
	answer, err := s.read(ctx, http.MethodPost, "/validate", "", body)
	if err != nil {
		return "", err
	}
	var out struct {
		Response struct {
			Allowed bool
			Status  struct{ Message string }
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return "", err
	}
	if out.Response.Allowed {
		return "allowed", nil
	}
	return out.Response.Status.Message, nil
}

// says waits for a decision: one that is not there yet is asked for again.
func says(ts *testscript.TestScript, s *story, args []string) {
	until(ts, func() error { return s.decides(ts, args) })
}

// still wants it at once.
func still(ts *testscript.TestScript, s *story, args []string) { ts.Check(s.decides(ts, args)) }

func (s *story) decides(ts *testscript.TestScript, args []string) error {
	pattern, err := regexp.Compile(args[2])
	ts.Check(err)
	got, err := s.named(ts, args[0]).review(s.t.Context(), request(ts, args[1]))
	if err == nil && !pattern.MatchString(got) {
		err = fmt.Errorf("%s about %s: got %q, want %s", args[0], args[1], got, pattern)
	}
	return err
}

// runtime is what is in every page of metrics, and in no story.
var runtime = regexp.MustCompile(`(?m)^(#|go_|process_).*\n`)

func get(ts *testscript.TestScript, s *story, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	from := s.named(ts, args[0])
	until(ts, func() error {
		// Readiness that fails says why, too.
		page, err := from.read(s.t.Context(), http.MethodGet, args[1], "", nil)
		if pattern.Match(page) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("%s%s: got no %s in:\n%s", args[0], args[1], pattern, runtime.ReplaceAll(page, nil)))
	})
}

// said is what a page of metrics says of a series.
func said(ts *testscript.TestScript, s *story, name, series string) string {
	page, err := s.named(ts, name).read(s.t.Context(), http.MethodGet, "/metrics", "", nil)
	ts.Check(err)
	for line := range strings.Lines(string(page)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			return value
		}
	}
	ts.Fatalf("%s: got no metric %s in:\n%s", name, series, runtime.ReplaceAll(page, nil))
	return ""
}

func metric(ts *testscript.TestScript, s *story, args []string) {
	ts.Setenv(args[0], regexp.QuoteMeta(said(ts, s, args[1], args[2])))
}

func moved(ts *testscript.TestScript, s *story, args []string) {
	until(ts, func() error {
		if got := said(ts, s, args[0], args[1]); regexp.QuoteMeta(got) == args[2] {
			return fmt.Errorf("%s: got %s %s, want another", args[0], args[1], got)
		}
		return nil
	})
}

func ago(ts *testscript.TestScript, s *story, args []string) {
	want, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	until(ts, func() error {
		at, err := strconv.ParseFloat(said(ts, s, args[0], args[1]), 64)
		ts.Check(err)
		if got := float64(time.Now().UnixNano())/1e9 - at; at == 0 || got < want {
			return fmt.Errorf("%s: got %s %.1f s ago, want %v", args[0], args[1], got, want)
		}
		return nil
	})
}

func logged(ts *testscript.TestScript, s *story, args []string) {
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	s.named(ts, args[0])
	until(ts, func() error {
		if text := ts.ReadFile(args[0] + ".log"); !pattern.MatchString(text) {
			return fmt.Errorf("%s: got no line %s in its log", args[0], pattern)
		}
		return nil
	})
}

// token is the one of the Data API.
const token = "s3cret"

func ask(ts *testscript.TestScript, s *story, args []string) {
	answer, err := s.named(ts, args[0]).read(s.t.Context(), http.MethodPost, args[1], token, []byte(ts.ReadFile(args[2])))
	ts.Check(err)
	answer, err = compact(answer)
	ts.Check(err)
	_, err = ts.Stdout().Write(answer)
	ts.Check(err)
}
