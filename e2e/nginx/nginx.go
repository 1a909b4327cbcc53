// Package nginx runs Debian's nginx for a test, as a process of the test on loopback: a static
// server with TLS and ETags and, if asked, a bearer token or client certificates, which keeps what is
// posted to /logs and /status. It can be told to fail in the ways in which servers do.
package nginx

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"text/template"
	"time"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/process"
)

//go:embed nginx.conf
var configuration string

// Options say who may read. The zero value lets everybody.
type Options struct {
	// Token has to be sent by clients, if it is not "".
	Token string
	// Certificates have to be those of [Server.Client].
	Certificates bool
}

// Fault is a way in which a server fails.
type Fault string

// Faults.
const (
	// None is a server that is well.
	None Fault = ""
	// Broken answers 500.
	Broken Fault = "500"
	// Flapping answers 500 to half of the requests, by chance.
	Flapping Fault = "flap"
	// Stalled sends a byte in a second.
	Stalled Fault = "stall"
	// Redirecting leads to [Server.Elsewhere], which has the same files.
	Redirecting Fault = "redirect"
	// Looping leads back to where it was asked.
	Looping Fault = "loop"
	// Downgrading leads to the same place without TLS.
	Downgrading Fault = "downgrade"
)

// Server is one that runs.
type Server struct {
	// URL is where the files are, Elsewhere another host that has them as well.
	URL, Elsewhere string
	// Roots is a PEM file of those who signed its certificate, Client and ClientKey are files
	// with a certificate that it accepts.
	Roots, Client, ClientKey string

	t         testing.TB
	options   Options
	program   string
	dir       string
	client    *http.Client
	process   *process.Process
	network   loopback.Network
	authority *cluster.Authority
	published int // how many files
}

// Start starts one and returns when it is ready. Where nginx is not installed it skips the test,
// unless ASSAY_E2E_NGINX says that it is required.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if errors.Is(err, exec.ErrNotFound) {
		program, err = exec.LookPath("/usr/sbin/nginx") // which is in nobody's PATH but root's
	}
	switch {
	case err != nil && os.Getenv("ASSAY_E2E_NGINX") != "required":
		t.Skip("nginx is not installed: apt-get install nginx")
	case err != nil:
		t.Fatal(err)
	}
	s := &Server{t: t, options: options, program: program, dir: t.TempDir()}
	if s.network, err = loopback.Claim(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.network.Release)
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	s.start(None)
	t.Cleanup(func() {
		if s.process != nil {
			s.process.Stop(t)
		}
	})
	return s
}

// prepare finds addresses, and writes certificates.
func (s *Server) prepare() error {
	var hosts [2]string
	for n := range hosts {
		host, err := loopback.FreePort(s.network.Address(1, n+1))
		if err != nil {
			return err
		}
		hosts[n] = host
	}
	s.URL, s.Elsewhere = "https://"+hosts[0], "https://"+hosts[1]
	s.Roots, s.Client, s.ClientKey = s.path("ca.crt"), s.path("client.crt"), s.path("client.key")
	var err error
	if s.authority, err = cluster.NewAuthority("nginx of a test"); err != nil {
		return err
	}
	certificate, key, err := s.authority.Server(s.network.Address(1, 1), s.network.Address(1, 2))
	if err != nil {
		return err
	}
	client, clientKey, err := s.authority.Client("reader")
	if err != nil {
		return err
	}
	for file, content := range map[string][]byte{
		s.Roots: s.authority.PEM, s.path("tls.crt"): certificate, s.path("tls.key"): key, s.Client: client, s.ClientKey: clientKey,
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	pair, err := tls.X509KeyPair(client, clientKey)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.authority.PEM)
	s.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}}
	for _, name := range append(kept(), "www") {
		if err := os.Mkdir(s.path(name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Down ends it, and the connections that it has.
func (s *Server) Down() {
	if s.process != nil {
		s.process.Kill()
		s.process = nil
	}
}

// Fail lets it fail from now on in one way, or be well. It is started anew for that: no connection
// that it has lives on as it was.
func (s *Server) Fail(fault Fault) {
	s.t.Helper()
	s.Down()
	s.start(fault)
}

func (s *Server) start(fault Fault) {
	s.t.Helper()
	err := s.configure(fault)
	if err == nil {
		s.process, err = process.Start(s.dir, "nginx", s.program, "-e", "stderr", "-p", s.dir, "-c", s.path("nginx.conf"))
	}
	if err == nil {
		err = s.process.Await(s.t.Context(), s.serves)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Publish puts a file there in one step. Its ETag differs from that of the one before, also
// where both are of the same second and size.
func (s *Server) Publish(name string, content []byte) {
	s.t.Helper()
	err := os.WriteFile(s.path("new"), content, 0o644)
	if err == nil {
		// An ETag of nginx is the size and the time of the file, in seconds.
		s.published++
		at := time.Unix(1_700_000_000+int64(s.published), 0)
		err = os.Chtimes(s.path("new"), at, at)
	}
	if err == nil {
		err = os.Rename(s.path("new"), filepath.Join(s.dir, "www", name))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// kept are the paths whose bodies are.
func kept() []string { return []string{"logs", "status"} }

// Kept are the bodies that were posted to /logs or /status, in no order. One whose sender got no
// answer, as from a stalled server, is among them, and so is what it sends again.
func (s *Server) Kept(path string) [][]byte {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, path, "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	var out [][]byte
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, body)
	}
	return out
}

// Asked is how many requests so far match in the log: lines of METHOD URL STATUS, where the URL
// has the host.
func (s *Server) Asked(pattern *regexp.Regexp) int {
	s.t.Helper()
	log, err := os.ReadFile(s.path("access.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(pattern.FindAll(log, -1))
}

// Answering is how many answers it is sending, those that stall among them.
func (s *Server) Answering(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/.status", nil)
	if err != nil {
		return 0, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	page, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`Writing: (\d+)`).FindSubmatch(page)
	if found == nil {
		return 0, fmt.Errorf("nginx: got status %q, want how many it writes", page)
	}
	writing, err := strconv.Atoi(string(found[1]))
	return writing - 1, err // this one is one of them
}

func (s *Server) configure(fault Fault) error {
	parsed, err := template.New("nginx.conf").Parse(configuration)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{
		"Root": os.Geteuid() == 0, "Dir": s.dir, "Host": s.URL[len("https://"):], "Elsewhere": s.Elsewhere[len("https://"):],
		"Token": s.options.Token, "Certificates": s.options.Certificates, "Fault": string(fault),
		"Kept": kept(),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("nginx.conf"), out.Bytes(), 0o600)
}

// serves asks for what it answers in every configuration.
func (s *Server) serves(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/.ready", nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("nginx: got %s, want 204", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }
