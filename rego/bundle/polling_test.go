package bundle_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/open-policy-agent/opa/v1/download"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/rest"
	"golang.org/x/sync/errgroup"
)

// files is a static server as nginx is one: it answers with an ETag, and with 304 whoever has the file. It counts what
// it answers, and the bytes on the wire, headers included.
type files struct {
	*httptest.Server
	asked, unchanged, other  atomic.Int64
	bodies, received, echoed atomic.Int64
}

func newFiles(t testing.TB, bundle []byte) *files {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policies.tar.gz"), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	f, static, sum := &files{}, http.FileServer(http.Dir(dir)), sha256.Sum256(bundle)
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
		counted := &answer{ResponseWriter: w, status: http.StatusOK}
		static.ServeHTTP(counted, r)
		f.asked.Add(1)
		f.bodies.Add(counted.body)
		switch counted.status {
		case http.StatusNotModified:
			f.unchanged.Add(1)
		case http.StatusOK:
		default:
			f.other.Add(1)
		}
	}))
	f.Listener = listener{f.Listener, f}
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// zero forgets what was counted.
func (f *files) zero() {
	for _, counter := range []*atomic.Int64{&f.asked, &f.unchanged, &f.other, &f.bodies, &f.received, &f.echoed} {
		counter.Store(0)
	}
}

type answer struct {
	http.ResponseWriter
	status int
	body   int64
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.body += int64(n)
	return n, err
}

type listener struct {
	net.Listener
	files *files
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return conn{c, l.files}, err
}

type conn struct {
	net.Conn
	files *files
}

func (c conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.files.received.Add(int64(n))
	return n, err
}

func (c conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.files.echoed.Add(int64(n))
	return n, err
}

// clients are downloaders of OPA's own, as its bundle plugin has one for each bundle.
func clients(t testing.TB, f *files, n int, loaded *atomic.Int64) []*download.Downloader {
	t.Helper()
	manual := plugins.TriggerManual
	config := download.Config{Trigger: &manual}
	if err := config.ValidateAndInjectDefaults(); err != nil {
		t.Fatal(err)
	}
	var out []*download.Downloader
	for range n {
		client, err := rest.New([]byte(`{"name": "files", "url": "`+f.URL+`"}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, download.New(config, client, "policies.tar.gz").WithCallback(func(_ context.Context, u download.Update) error {
			if u.Bundle != nil {
				loaded.Add(1)
			}
			return u.Error
		}))
	}
	return out
}

func poll(t testing.TB, all []*download.Downloader) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(32)
	for _, one := range all {
		g.Go(func() error { return one.Trigger(t.Context()) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func polled(t testing.TB) []byte {
	t.Helper()
	return tarball(t, "42", []string{"policies"}, map[string]string{
		"/policies/a.rego":         "package policies.a\n\nimport rego.v1\n\ndeny contains \"no\" if input.x\n",
		"/policies/data/data.json": `{"list": ["` + strings.Repeat("0123456789abcdef", 4096) + `"]}`,
	})
}

// TestAThousandClientsAskOneStaticServer and are answered 304 for as long as nothing changes: a bundle travels once.
func TestAThousandClientsAskOneStaticServer(t *testing.T) {
	t.Parallel()
	const number, rounds = 1000, 3
	bundle := polled(t)
	f := newFiles(t, bundle)
	var loaded atomic.Int64
	all := clients(t, f, number, &loaded)
	poll(t, all)
	if got := f.bodies.Load(); loaded.Load() != number || f.asked.Load() != number || got != number*int64(len(bundle)) {
		t.Errorf("first: got %d bundles of %d requests and %d bytes, want %d of as many and %d", loaded.Load(), f.asked.Load(), got, number, number*len(bundle))
	}
	f.zero()
	for range rounds {
		poll(t, all)
	}
	if f.asked.Load() != rounds*number || f.unchanged.Load() != f.asked.Load() || f.other.Load() != 0 || f.bodies.Load() != 0 || loaded.Load() != number {
		t.Errorf("then: got %d requests, %d answered 304, %d bytes of bodies, %d bundles in all, want %d, all of them, none and %d",
			f.asked.Load(), f.unchanged.Load(), f.bodies.Load(), loaded.Load(), rounds*number, number)
	}
	sent, received := f.received.Load()/(rounds*number), f.echoed.Load()/(rounds*number)
	t.Logf("a request of a client when nothing changed: %d bytes sent, %d received, headers included", sent, received)
	if sent > 512 || received > 512 {
		t.Errorf("got %d bytes sent and %d received for each request, want at most 512 of each", sent, received)
	}
}

// BenchmarkPolling is one request of each of 1,000 clients, when nothing changed.
func BenchmarkPolling(b *testing.B) {
	const number = 1000
	f := newFiles(b, polled(b))
	var loaded atomic.Int64
	all := clients(b, f, number, &loaded)
	poll(b, all)
	f.zero()
	for b.Loop() {
		poll(b, all)
	}
	requests := float64(f.asked.Load())
	b.ReportMetric(requests/float64(number)/float64(b.N), "requests/client")
	b.ReportMetric(float64(f.received.Load())/requests, "sentB/client")
	b.ReportMetric(float64(f.echoed.Load())/requests, "receivedB/client")
	b.ReportMetric(float64(f.bodies.Load())/requests, "bodyB/client")
}
