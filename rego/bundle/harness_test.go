package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	opabundle "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"

	"github.com/assay-dev/assay/rego/bundle"
)

func TestMain(m *testing.M) {
	bundle.Register()
	os.Exit(m.Run())
}

// tarball is a bundle as opa build writes it. Files are Rego or data, by path.
func tarball(t testing.TB, revision string, roots []string, files map[string]string) []byte {
	t.Helper()
	b := opabundle.Bundle{Manifest: opabundle.Manifest{Revision: revision, Roots: &roots}, Data: map[string]any{}}
	for path, text := range files {
		if strings.HasSuffix(path, ".rego") {
			b.Modules = append(b.Modules, opabundle.ModuleFile{
				Path: path, URL: path, Raw: []byte(text), Parsed: ast.MustParseModule(text),
			})
			continue
		}
		at := strings.Split(strings.Trim(filepath.Dir(path), "/"), "/")
		tree := b.Data
		for _, part := range at[:len(at)-1] {
			next, ok := tree[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				tree[part] = next
			}
			tree = next
		}
		var value any
		if err := decode(text, &value); err != nil {
			t.Fatal(err)
		}
		tree[at[len(at)-1]] = value
	}
	var out bytes.Buffer
	if err := opabundle.NewWriter(&out).DisableFormat(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// service is an HTTP server with bundles, as OPA wants one: a bundle that did not change is
// answered 304.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][]byte
	serve  http.HandlerFunc // in place of bodies
	asked  int
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{bodies: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) put(path string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies[path] = body
}

func (s *service) answer(with http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = with
}

// ServeHTTP implements [http.Handler].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	body, serve := s.bodies[r.URL.Path], s.serve
	s.asked++
	s.mu.Unlock()
	if serve != nil {
		serve(w, r)
		return
	}
	if body == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%d-%x"`, len(body), body[len(body)-8:]))
	w.Header().Set("Content-Type", "application/gzip")
	http.ServeContent(w, r, "bundle.tar.gz", time.Time{}, bytes.NewReader(body))
}

// side is who serves: it takes what it is shown, unless it is told to refuse.
type side struct {
	mu        sync.Mutex
	refuse    error
	published []bundle.Content
	left      []bundle.Content
	// publishing is told when it is to publish, which publish lets it do; nil does not wait.
	publishing, publish chan struct{}
}

// deciding are the bundles of the set that it serves.
func (s *side) deciding() (names []string) {
	for _, b := range s.last().Bundles {
		names = append(names, b.Name)
	}
	return names
}

func (s *side) prepare(_ context.Context, next bundle.Content) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	return func() {
		if s.publishing != nil {
			s.publishing <- struct{}{}
			<-s.publish
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.published = append(s.published, next)
	}, nil
}

func (s *side) removed(_ context.Context, left bundle.Content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, left)
}

func (s *side) refuses(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

func (s *side) last() bundle.Content {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.published) == 0 {
		return bundle.Content{}
	}
	return s.published[len(s.published)-1]
}

// open makes and starts a manager of bundles that are fetched only when they are triggered.
func open(t testing.TB, config string, s *side, change func(*bundle.Options)) *bundle.Manager {
	t.Helper()
	options := bundle.Options{
		Config: []byte(config), ID: "replica", Log: slog.New(slog.DiscardHandler), Prepare: s.prepare, Removed: s.removed,
	}
	if change != nil {
		change(&options)
	}
	m, err := bundle.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop(context.Background()) })
	return m
}

// manually is the configuration of bundles of a service, by their paths in it.
func manually(service string, bundles ...string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "services: {s: {url: %q}}\nbundles:\n", service)
	for _, name := range bundles {
		fmt.Fprintf(&out, "  %s: {service: s, resource: %s.tar.gz, trigger: manual}\n", name, name)
	}
	return out.String()
}

var errRefused = errors.New("no such policies here")

// discover has the discovery bundle looked for.
func discover(t *testing.T, m *bundle.Manager) {
	t.Helper()
	if err := discovery.Lookup(m.OPA()).Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
}
