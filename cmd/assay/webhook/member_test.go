package webhook

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	opabundle "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// bundleOf is a bundle with a manifest and files, by path.
func bundleOf(t testing.TB, manifest string, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	tarred := tar.NewWriter(zipped)
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files[".manifest"] = manifest
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := tarred.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(files[path])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tarred, files[path]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tarred.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// failing is a bundle of one ClusterImagePolicy that nothing satisfies.
func failing(t testing.TB, revision, name, glob, more string) []byte {
	t.Helper()
	return bundleOf(t, fmt.Sprintf(`{"revision": %q, "roots": ["resources/ClusterImagePolicy/%s"]%s}`, revision, name, more), map[string]string{
		"resources/ClusterImagePolicy/" + name + "/data.json": strings.Replace(denying(glob, ""), `"name": "p"`, fmt.Sprintf(`"name": %q`, name), 1),
	})
}

// expiring is a bundle that holds until a time.
func expiring(t testing.TB, revision string, at time.Time) []byte {
	t.Helper()
	return expiringAs(t, "p", revision, at)
}

// expiringAs has a policy of that name.
func expiringAs(t testing.TB, name, revision string, at time.Time) []byte {
	t.Helper()
	return saying(t, name, revision, archive.About{Format: archive.Format, Expires: at})
}

// saying is a bundle of such a policy that says something of itself.
func saying(t testing.TB, name, revision string, about archive.About) []byte {
	t.Helper()
	roots := []string{"resources/ClusterImagePolicy/" + name}
	var out bytes.Buffer
	if err := archive.Write(&out, &archive.Archive{
		Manifest: opabundle.Manifest{Revision: revision, Roots: &roots},
		About:    about,
		Files:    map[string][]byte{roots[0] + "/data.json": []byte(strings.Replace(denying("a.io/**", ""), `"name": "p"`, fmt.Sprintf("%q: %q", "name", name), 1))},
	}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bucket is a static server of bundles.
type bucket struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][]byte
}

func newBucket(t testing.TB, bodies map[string][]byte) *bucket {
	t.Helper()
	b := &bucket{bodies: bodies}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		body, ok := b.bodies[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *bucket) put(name string, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies[name] = body
}

// fleetMember is a webhook whose policies are in bundles, which are fetched when it is told.
type fleetMember struct {
	*Webhook
	t   testing.TB
	url string
	// stop ends it, and may be called again.
	stop func()
}

func withBundles(t testing.TB, config string, change func(*wiring.Flags, *bundled.Flags)) *fleetMember {
	t.Helper()
	file := filepath.Join(t.TempDir(), "opa.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	flags, from := wiring.Defaults(), bundled.Flags{Config: file}
	flags.TUF.Cache = t.TempDir()
	if change != nil {
		change(&flags, &from)
	}
	running, err := listen(t.Context(), flags, clusterFlags{}, from, server.Config{
		Addr: "127.0.0.1:0", InsecurePlainHTTP: true, DrainDelay: 1, Logger: slog.New(slog.DiscardHandler),
	}, telemetry.Export{Version: "test", Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	<-running.reloader.bundles.Started()
	return &fleetMember{running, t, "http://" + running.Addr(), stop}
}

// opened says why a webhook does not start.
func opened(t testing.TB, flags wiring.Flags, from bundled.Flags) error {
	t.Helper()
	_, err := listen(t.Context(), flags, clusterFlags{}, from, server.Config{
		Addr: "127.0.0.1:0", InsecurePlainHTTP: true, Logger: slog.New(slog.DiscardHandler),
	}, telemetry.Export{Getenv: func(string) string { return "" }})
	return err
}

// manual is a configuration of bundles of a server.
func manual(t testing.TB, from string, names ...string) string {
	t.Helper()
	out := fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\nbundles:\n", from, t.TempDir())
	for _, name := range names {
		out += fmt.Sprintf("  %s: {service: s, resource: %s, trigger: manual, persist: true}\n", name, name)
	}
	return out
}

func (f *fleetMember) trigger() error {
	return f.reloader.bundles.Trigger(context.Background())
}

// fetch has the bundles fetched, which is to end well.
func (f *fleetMember) fetch() {
	f.t.Helper()
	if err := f.trigger(); err != nil {
		f.t.Fatal(err)
	}
}

// says is the message of the answer about a Pod with an image, "" where it is admitted.
func (f *fleetMember) says(image string) string {
	f.t.Helper()
	review, err := reviews.Pod([]string{image})
	if err != nil {
		f.t.Fatal(err)
	}
	answer, err := http.Post(f.url+"/validate", "application/json", bytes.NewReader(review))
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var out struct {
		Response struct {
			Allowed bool
			Status  struct{ Message string }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
		f.t.Fatal(err)
	}
	if out.Response.Allowed {
		return ""
	}
	return out.Response.Status.Message
}

const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
