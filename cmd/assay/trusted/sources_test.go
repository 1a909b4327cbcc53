package trusted

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

func (l *lab) sources(t testing.TB, own string) *Sources {
	t.Helper()
	s := l.sourcesOf(t, l.policy(t, keyless))
	s.Own = own
	return s
}

func (l *lab) sourcesOf(t testing.TB, policy *Policy) *Sources {
	t.Helper()
	none, err := fresh.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return &Sources{Policy: policy, Floors: none, Own: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
}

// registry is the source of a bundle in the registry.
func (l *lab) registry(name, tag string) configured.Source {
	return configured.Source{Name: name, Service: "reg", Resource: l.host + "/acme/policies:" + tag, OCI: true}
}

// answers has what probes, scrapes and loads of policies ask answered, which must wait for nobody.
func answers(t *testing.T, s *Sources) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Active(map[string]string{"prod": "sha256:0"})
		s.Tell(map[string]bundle.Status{})
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("got no answer, want one")
	}
}

// TestAStalledRegistryIsWaitedForByNobody but by who fetches.
func TestAStalledRegistryIsWaitedForByNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	asked, over := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(over) })
	l.on("/manifests/latest", func(http.ResponseWriter, *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-over
	})
	s := l.sources(t, t.TempDir())
	if _, err := s.takes([]configured.Source{l.registry("prod", "latest")}); err != nil {
		t.Fatal(err)
	}
	fetched := make(chan struct{})
	go func() {
		defer close(fetched)
		_, _ = s.sources["prod"].Fetch(t.Context())
	}()
	<-asked
	answers(t, s)
	select {
	case <-fetched:
		t.Error("got answers after the fetch, want them beside it")
	default:
	}
}

// TestSignaturesOfRedirectsAreNotTold has a registry whose blobs lie behind signed URLs of a store.
func TestSignaturesOfRedirectsAreNotTold(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.on("/manifests/latest", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/blob?X-Amz-Signature=TOPSECRET", http.StatusTemporaryRedirect)
	})
	s := l.sources(t, t.TempDir())
	var log strings.Builder
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := s.takes([]configured.Source{l.registry("prod", "latest")}); err != nil {
		t.Fatal(err)
	}
	_, err := s.sources["prod"].Fetch(t.Context())
	_ = s.fetched(s.sources["prod"], fmt.Errorf("Get %q: %w", "http://127.0.0.1:1/blob?X-Amz-Signature=TOPSECRET", err))
	statuses := map[string]bundle.Status{}
	s.Tell(statuses)
	if got := statuses["prod"].Error; got == "" || strings.Contains(got+log.String(), "TOPSECRET") || !strings.Contains(log.String(), "error=") {
		t.Errorf("got status %s and log %s, want the error without the signature", got, &log)
	}
}

// TestASlowDiskIsWaitedForByNoProbe while a source is read that was kept.
func TestASlowDiskIsWaitedForByNoProbe(t *testing.T) {
	t.Parallel()
	l, own := newLab(t), t.TempDir()
	s := l.sources(t, own)
	prod := l.registry("prod", "latest")
	if _, err := s.takes([]configured.Source{prod}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(own, "bundles", "next")
	writeFile(t, dir, prefix+"0/"+manifestFile, "{}")
	slow := filepath.Join(dir, prefix+"0", bundleFile)
	if err := syscall.Mkfifo(slow, 0o600); err != nil {
		t.Skipf("needs a file that can be waited for: %v", err)
	}
	if err := os.Symlink(prefix+"0", filepath.Join(dir, current)); err != nil {
		t.Fatal(err)
	}
	seen := make(chan error, 1)
	go func() {
		_, err := s.takes([]configured.Source{prod, l.registry("next", "next")})
		seen <- err
	}()
	fifo, err := os.OpenFile(slow, os.O_WRONLY, 0) // which waits until it is read
	if err != nil {
		t.Fatal(err)
	}
	answers(t, s)
	select {
	case err := <-seen:
		t.Errorf("got answers after the read, %v, want them beside it", err)
	default:
	}
	if err := fifo.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-seen; err != nil {
		t.Error(err)
	}
}

// TestASlowDiskIsWaitedForByWhoKeeps and by nobody else.
func TestASlowDiskIsWaitedForByWhoKeeps(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sign(t, l.push(t, "latest", "1"), "ci")
	s := l.sources(t, t.TempDir())
	if _, err := s.takes([]configured.Source{l.registry("prod", "latest")}); err != nil {
		t.Fatal(err)
	}
	prod := s.sources["prod"]
	got, err := prod.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prod.keeping.Lock()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		s.Active(map[string]string{"prod": got.Digest})
	}()
	answers(t, s)
	prod.keeping.Unlock()
	<-kept
	if s.Active(map[string]string{"prod": got.Digest}); prod.kept != got.Digest {
		t.Errorf("got %q kept, want %q", prod.kept, got.Digest)
	}
}

// run has sources asked for.
func (l *lab) run(t *testing.T, s *Sources) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-over })
}

// body waits for what a feed gives.
func body(t *testing.T, feed bundle.Feed) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, _ := feed.Next(ctx, "")
	return string(got)
}

// TestStagedSourcesChangeNothing until they are applied.
func TestStagedSourcesChangeNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, tag := range []string{"first", "second"} {
		l.sign(t, l.pushBytes(t, tag, saying(t, "1", archive.About{Format: archive.Format, Name: tag})), "ci")
	}
	s := l.sources(t, t.TempDir())
	l.run(t, s)
	first, second := l.registry("first", "first"), l.registry("second", "second")
	feeds, err := s.takes([]configured.Source{first})
	if err != nil {
		t.Fatal(err)
	}
	body(t, feeds["first"])
	l.requests()
	polled := s.sources["first"]
	staged, apply, err := s.See([]configured.Source{second})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.See([]configured.Source{second, {Name: "web", Service: "web"}}); err == nil {
		t.Error("got a source that nobody signs, want it refused")
	}
	if diff := cmp.Diff([]string{"first"}, slices.Collect(maps.Keys(s.sources))); diff != "" || polled.stop == nil || s.sources["first"] != polled {
		t.Errorf("after they were staged: -want +got:\n%s", diff)
	}
	if got, _ := staged["second"].Next(ended(t), ""); got != nil {
		t.Error("got a bundle of a source that is staged, want none")
	}
	for _, asked := range l.requests() {
		if strings.Contains(asked, "/manifests/second") {
			t.Errorf("got the request %s for a source that is staged, want none", asked)
		}
	}
	apply()
	if got := body(t, staged["second"]); got == "" {
		t.Error("got no bundle after they were applied, want one")
	}
	if diff := cmp.Diff([]string{"second"}, slices.Collect(maps.Keys(s.sources))); diff != "" || polled.stop != nil {
		t.Errorf("after they were applied: -want +got:\n%s", diff)
	}
	select {
	case <-s.ended["first"]:
	case <-time.After(time.Minute):
		t.Error("got a source that is asked for, want it to have ended")
	}
}

// TestAChangedSourceWaitsForTheOneBefore: both have one directory.
func TestAChangedSourceWaitsForTheOneBefore(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sign(t, l.push(t, "next", "2"), "ci")
	s := l.sources(t, t.TempDir())
	l.run(t, s)
	asked, over := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(over) }) // what is shared has a time of its own
	l.on("/manifests/latest", func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-over })
	if _, err := s.takes([]configured.Source{l.registry("prod", "latest")}); err != nil {
		t.Fatal(err)
	}
	<-asked
	before := s.ended["prod"]
	feeds, err := s.takes([]configured.Source{l.registry("prod", "next")})
	if err != nil {
		t.Fatal(err)
	}
	if body(t, feeds["prod"]) == "" {
		t.Error("got no bundle, want that of the new place")
	}
	select {
	case <-before:
	default:
		t.Error("got the one before still asked for, want it to have ended")
	}
}

// ended is a context that waits for nothing.
func ended(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// takes has OPA take the configuration with those sources.
func (s *Sources) takes(all []configured.Source) (map[string]bundle.Feed, error) {
	feeds, apply, err := s.See(all)
	if err == nil {
		apply()
	}
	return feeds, err
}

// TestAKeyThatWasDiscoveredVouchesForNothing: whoever writes the discovery bundle would choose who signs.
func TestAKeyThatWasDiscoveredVouchesForNothing(t *testing.T) {
	t.Parallel()
	s := newLab(t).sources(t, t.TempDir())
	of := configured.Source{Name: "a", Service: "s", Signed: true, KeyID: "mine"}
	if _, _, err := s.See([]configured.Source{of}); err != nil {
		t.Errorf("a key of the file: got %v, want none", err)
	}
	of.Brought = true
	if _, _, err := s.See([]configured.Source{of}); err == nil || !strings.Contains(err.Error(), `bundles.a.signing.keyid: got "mine", which was discovered`) {
		t.Errorf("got %v, want a refusal of the key", err)
	}
}
