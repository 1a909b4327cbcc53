//go:build !nocloud

package cloud_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/cloud"
)

// internet is one server that is every host, each by its own name: over TLS, and on port 80 over plain HTTP, as metadata
// services are.
type internet struct {
	t      *testing.T
	server *httptest.Server
	plain  *httptest.Server

	now func() time.Time

	mu    sync.Mutex
	hosts map[string]http.HandlerFunc
	asked []string // "METHOD host/path", with who asks
}

func newInternet(t *testing.T) *internet {
	t.Helper()
	in := &internet{t: t, now: time.Now, hosts: map[string]http.HandlerFunc{}}
	in.server = httptest.NewTLSServer(http.HandlerFunc(in.serve))
	in.plain = httptest.NewServer(http.HandlerFunc(in.serve))
	t.Cleanup(in.server.Close)
	t.Cleanup(in.plain.Close)
	return in
}

func (in *internet) serve(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	is, ok := in.hosts[r.Host]
	line := r.Method + " " + r.Host + r.URL.Path
	if r.Header.Get("Authorization") != "" {
		line += " with credentials"
	}
	in.asked = append(in.asked, line)
	in.mu.Unlock()
	if !ok {
		http.Error(w, "no such host", http.StatusNotFound)
		return
	}
	is(w, r)
}

// is says what a host answers.
func (in *internet) is(host string, answers http.HandlerFunc) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.hosts[host] = answers
}

// requests are those since the last time that somebody wanted to know, in order of their text.
func (in *internet) requests() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.asked
	in.asked = nil
	slices.Sort(out)
	return out
}

// to counts requests that begin like this.
func (in *internet) to(prefix string) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, line := range in.asked {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// way is a transport for which every name leads to the one server.
func (in *internet) way() http.RoundTripper {
	roots := x509.NewCertPool()
	roots.AddCert(in.server.Certificate())
	way := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := in.server
			if strings.HasSuffix(address, ":80") {
				to = in.plain
			}
			return (&net.Dialer{}).DialContext(ctx, network, to.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12},
	}
	in.t.Cleanup(way.CloseIdleConnections)
	return way
}

// client asks registries; it knows the hosts of clouds that are listed.
func (in *internet) client(t *testing.T, hosts []string, changes ...func(*cloud.Options)) (*oci.Client, oci.Credentials) {
	t.Helper()
	way := in.way()
	o := cloud.Options{Registry: func(string) http.RoundTripper { return way }}
	for _, change := range changes {
		change(&o)
	}
	credentials, err := cloud.Credentials(hosts, o.Through(way, in.now))
	if err != nil {
		t.Fatal(err)
	}
	return in.asks(t), credentials
}

// asks is a client of the registries.
func (in *internet) asks(t *testing.T, options ...oci.Option) *oci.Client {
	t.Helper()
	client, err := oci.New(append(options, oci.WithTransport(in.way()), oci.WithTagTTL(0))...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// manifest is what every repository has under every tag.
const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}`

// registry lets in whoever has the right Authorization, and sends others to its challenge.
func registry(challenge, authorization string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != authorization {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = fmt.Fprint(w, manifest)
		}
	}
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// clearEnvironment leaves nothing that a library of a cloud could find, such as the metadata service of the machine
// that runs the test.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "GOOGLE_") || strings.HasPrefix(name, "GCE_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name) // Setenv puts it back
		}
	}
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "CLOUDSDK_CONFIG": home, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "credentials"),
	} {
		t.Setenv(name, value)
	}
}

// file writes one and gives its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
