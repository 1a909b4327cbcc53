package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/cmd/assay/demo"
)

// patience is how long a test waits for what must happen. Nothing waits for it
// when all is well.
const patience = time.Minute

// daemon is the webhook of a script, in a process of its own.
type daemon struct {
	url     string
	journal *journal
	command *exec.Cmd
	ended   chan error
}

// journal is a log that can be waited for.
type journal struct {
	mu      sync.Mutex
	text    []byte
	read    int // how far it was waited for
	changed chan struct{}
}

func newJournal() *journal { return &journal{changed: make(chan struct{}, 1)} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	j.text = append(j.text, p...)
	j.mu.Unlock()
	select {
	case j.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

// find gives the groups of the next match, nil when there is none yet.
func (j *journal) find(pattern *regexp.Regexp) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := pattern.FindSubmatchIndex(j.text[j.read:])
	if found == nil {
		return nil
	}
	var groups []string
	for i := 0; i < len(found); i += 2 {
		if found[i] < 0 { // a group of another alternative
			groups = append(groups, "")
			continue
		}
		groups = append(groups, string(j.text[j.read+found[i]:j.read+found[i+1]]))
	}
	j.read += found[1]
	return groups
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.text)
}

// wait waits for the next match.
func (j *journal) wait(pattern *regexp.Regexp) ([]string, error) {
	late := time.After(patience)
	for {
		if groups := j.find(pattern); groups != nil {
			return groups, nil
		}
		select {
		case <-j.changed:
		case <-late:
			return nil, fmt.Errorf("got no line %s within %s in the log:\n%s", pattern, patience, j)
		}
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func mintCertificate(ts *testscript.TestScript, _ []string) {
	dir := ts.MkAbs("tls")
	ts.Check(os.MkdirAll(dir, 0o700))
	_, err := demo.Certificate(dir)
	ts.Check(err)
}

func startServe(ts *testscript.TestScript, args []string) {
	d := &daemon{journal: newJournal(), ended: make(chan error, 1)}
	d.command = exec.Command("assay", append([]string{
		"serve", "--addr", "127.0.0.1:0", "--tls-cert", "tls/tls.crt", "--tls-key", "tls/tls.key",
		"--drain-delay", "1ms", "--allow-private-registries",
	}, args...)...)
	d.command.Dir, d.command.Stderr = ts.Getenv("WORK"), d.journal
	d.command.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	ts.Check(d.command.Start())
	go func() { d.ended <- d.command.Wait() }()
	ts.Defer(func() {
		_ = d.command.Process.Kill()
		ts.Logf("[log of the webhook]\n%s", d.journal)
	})
	found, err := d.journal.wait(regexp.MustCompile(`"msg":"serving","address":"([^"]+)"|\nassay: |^assay: `))
	ts.Check(err)
	if d.url = "https://" + found[1]; found[1] == "" {
		ts.Fatalf("the webhook did not start:\n%s", d.journal)
	}
	scriptOf(ts).webhook = d
}

func waitFor(ts *testscript.TestScript, pattern string) {
	_, err := scriptOf(ts).webhook.journal.wait(regexp.MustCompile(pattern))
	ts.Check(err)
}

func get(ts *testscript.TestScript, path string) {
	request, err := http.NewRequest(http.MethodGet, scriptOf(ts).webhook.url+path, nil)
	ts.Check(err)
	ask(ts, request)
}

func postFile(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: post PATH FILE")
	}
	request, err := http.NewRequest(http.MethodPost, scriptOf(ts).webhook.url+args[0], strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	request.Header.Set("Content-Type", "application/json")
	ask(ts, request)
}

// patchPattern finds the patch of an answer, which is JSON in base64 in JSON.
var patchPattern = regexp.MustCompile(`"patch":"([^"]*)"`)

// ask sends a request over a connection of its own, with trust in tls/tls.crt as
// it is now.
func ask(ts *testscript.TestScript, request *http.Request) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ts.ReadFile(filepath.Join("tls", "tls.crt"))))
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	ts.Check(response.Body.Close())
	body = patchPattern.ReplaceAllFunc(bytes.TrimSuffix(body, []byte("\n")), func(encoded []byte) []byte {
		patch, err := base64.StdEncoding.DecodeString(string(patchPattern.FindSubmatch(encoded)[1]))
		ts.Check(err)
		return append([]byte(`"patch":`), patch...)
	})
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", response.StatusCode, body)
}

func terminate(ts *testscript.TestScript, _ []string) {
	d := scriptOf(ts).webhook
	ts.Check(d.command.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-d.ended:
		if err != nil {
			ts.Fatalf("exit code: got %v, want 0", err)
		}
	case <-time.After(patience):
		ts.Fatalf("got no end within %s after SIGTERM", patience)
	}
	fmt.Fprint(ts.Stderr(), d.journal)
}
