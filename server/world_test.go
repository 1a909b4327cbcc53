package server

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/server/admission"
)

// patience is how long a test waits for what must happen. Nothing waits for it
// when all is well.
const patience = time.Minute

// podReview is a small review with a secret in its object.
const podReview = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{
"uid":"u-1","kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"shop","name":"web","operation":"CREATE",
"object":{"spec":{"containers":[{"image":"ghcr.io/a/b:v1","env":[{"name":"TOKEN","value":"s3cret"}]}]}}}}`

// allowAll admits everything.
func allowAll(context.Context, []byte) (Decision, error) {
	return Decision{Verdict: admission.Verdict{Allowed: true}, Images: 1}, nil
}

// plainConfig is a complete configuration without TLS.
func plainConfig() Config {
	return Config{
		Addr:              "127.0.0.1:0",
		InsecurePlainHTTP: true,
		Validate:          DeciderFunc(allowAll),
		Mutate:            DeciderFunc(allowAll),
		Ready:             func() []Check { return nil },
		DrainDelay:        time.Millisecond,
	}
}

// tlsConfig is a complete configuration with a certificate of the authority.
func tlsConfig(t *testing.T, ca *authority) (Config, *secret) {
	t.Helper()
	mounted := newSecret(t, ca.issue(t, 1, "127.0.0.1"))
	config := plainConfig()
	config.InsecurePlainHTTP = false
	config.TLS = TLS{CertFile: mounted.file("tls.crt"), KeyFile: mounted.file("tls.key")}
	return config, mounted
}

// running is a server whose Run is under way.
type running struct {
	*Server
	stop context.CancelFunc // ends the context of Run
	done chan error         // what Run returned
	url  string
}

// start runs a server until the test ends.
func start(t *testing.T, config Config) *running {
	t.Helper()
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{Server: s, stop: cancel, done: make(chan error, 1), url: "https://" + s.Addr().String()}
	if config.InsecurePlainHTTP {
		r.url = "http://" + s.Addr().String()
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.done <- s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		_ = s.http.Close()
		<-finished
	})
	return r
}

// authority issues certificates for a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

// pair is a certificate and its key in PEM.
type pair struct{ certificate, key []byte }

// issue makes a certificate for an address, usable by servers and clients.
func (a *authority) issue(t *testing.T, serial int64, address string) pair {
	t.Helper()
	return a.issueUntil(t, serial, address, time.Now().Add(time.Hour))
}

func (a *authority) issueUntil(t *testing.T, serial int64, address string, expires time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: expires.Add(-2 * time.Hour), NotAfter: expires,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// client trusts the authority, and shows the certificate if there is one.
func (a *authority) client(t *testing.T, shown ...pair) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.certificate)
	for _, p := range shown {
		certificate, err := tls.X509KeyPair(p.certificate, p.key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = append(config.Certificates, certificate)
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// secret is a directory as the kubelet mounts a Secret: tls.crt is a link to
// ..data/tls.crt and ..data a link to the directory of the current generation.
type secret struct {
	root       string
	generation int
}

func newSecret(t *testing.T, p pair) *secret {
	t.Helper()
	s := &secret{root: t.TempDir()}
	s.swap(t, p)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), s.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *secret) file(name string) string { return filepath.Join(s.root, name) }

// swap publishes a new generation in one rename.
func (s *secret) swap(t *testing.T, p pair) {
	t.Helper()
	s.generation++
	directory := "..generation" + strings.Repeat("i", s.generation)
	if err := os.Mkdir(s.file(directory), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, s.file(filepath.Join(directory, "tls.crt")), p.certificate)
	write(t, s.file(filepath.Join(directory, "tls.key")), p.key)
	if err := os.Symlink(directory, s.file("..data_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.file("..data_tmp"), s.file("..data")); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// journal is a log whose lines a test can wait for.
type journal struct{ lines chan map[string]any }

// newJournal returns a logger and what it writes.
func newJournal(t *testing.T) (*slog.Logger, *journal) {
	t.Helper()
	reader, writer := io.Pipe()
	j := &journal{lines: make(chan map[string]any, 1000)}
	go func() {
		defer close(j.lines)
		scanner := bufio.NewScanner(reader)
		for scanner.Scan() {
			var line map[string]any
			if json.Unmarshal(scanner.Bytes(), &line) == nil {
				j.lines <- line
			}
		}
	}()
	t.Cleanup(func() { _ = writer.Close() })
	return slog.New(slog.NewJSONHandler(writer, nil)), j
}

// wait returns the next line with the message.
func (j *journal) wait(t *testing.T, message string) map[string]any {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line := <-j.lines:
			if line["msg"] == message {
				return line
			}
		case <-timeout:
			t.Fatalf("log: got no line %q", message)
		}
	}
}

// post sends a review, and returns the status and the text of the answer.
func post(t *testing.T, client *http.Client, url, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return do(t, client, request)
}

// get fetches a page.
func get(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, client, request)
}

func do(t *testing.T, client *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}
