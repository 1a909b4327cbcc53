package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/tuf"
)

// mirrored is a TUF repository of a world's root, behind a mirror that counts.
type mirrored struct {
	*tuf.Repository
	url   string
	asked atomic.Int64
	down  atomic.Bool
}

func mirror(t *testing.T, w *world.World) *mirrored {
	t.Helper()
	root, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	made, err := tuf.New(tuf.At(time.Now().Add(time.Hour)), tuf.Target{Name: "trusted_root.json", Content: root})
	if err != nil {
		t.Fatal(err)
	}
	m := &mirrored{Repository: made}
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if m.asked.Add(1); m.down.Load() {
			http.Error(answer, "down", http.StatusServiceUnavailable)
			return
		}
		made.Handler().ServeHTTP(answer, r)
	}))
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

// trustRoot is a TrustRoot resource with that spec.
func trustRoot(t *testing.T, name string, spec map[string]any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": map[string]any{"name": name}, "spec": spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (m *mirrored) remote(t *testing.T, name string) string {
	t.Helper()
	return trustRoot(t, name, map[string]any{"remote": map[string]any{"root": m.Root, "mirror": m.url}})
}

func (m *mirrored) repository(t *testing.T, name string) string {
	t.Helper()
	archive, err := m.Archive("repository/")
	if err != nil {
		t.Fatal(err)
	}
	return trustRoot(t, name, map[string]any{"repository": map[string]any{"root": m.Root, "mirrorFS": archive}})
}

// broken is a repository that nobody can read.
func (m *mirrored) broken(t *testing.T, name string) string {
	t.Helper()
	return trustRoot(t, name, map[string]any{"repository": map[string]any{"root": m.Root, "mirrorFS": []byte{
		0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}}})
}

// rooted is a policy about the repository whose signatures a TrustRoot verifies.
func rooted(w *world.World, name, repository, root string) string {
	return `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "` + name + `"}, "spec": {
		"images": [{"glob": "` + w.Expand("${registry}") + `/` + repository + `*"}], "authorities": [{
		"keyless": {"identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}], "trustRootRef": "` + root + `"},
		"ctlog": {"trustRootRef": "` + root + `"}}]}}`
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func rootedFlags(t *testing.T, dir string) engineFlags {
	t.Helper()
	return engineFlags{
		policies: []string{dir}, noMatch: "deny", identityRegexp: "upstream", inlinePolicies: "upstream", privateRegistries: true,
		tuf: tufFlags{mirror: "http://127.0.0.1:1", cache: t.TempDir(), maxStale: time.Hour},
	}
}

// TestVerifyWithTrustRootsOfAllKinds names each in a policy, and refreshes no other.
func TestVerifyWithTrustRootsOfAllKinds(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	m, unused := mirror(t, w), mirror(t, w)
	for name, test := range map[string]struct {
		resource, policy, stdout, stderr string
		want                             error
	}{
		"TR-1: repository": {m.repository(t, "own"), rooted(w, "p", "acme/", "own"), "admitted", "", nil},
		"TR-2: remote":     {m.remote(t, "own"), rooted(w, "p", "acme/", "own"), "admitted", "", nil},
		"a repository that is broken": {m.broken(t, "own"), rooted(w, "p", "acme/", "own"),
			"trustRootRef own: spec.repository.mirrorFS: archive: ", "warning: TrustRoot own: spec.repository.mirrorFS: ", errDenied},
		"a remote that is down": {strings.Replace(m.remote(t, "own"), m.url, "http://127.0.0.1:1", 1), rooted(w, "p", "acme/", "own"),
			"trustRootRef own: TUF repository http://127.0.0.1:1: ", "warning: TrustRoot own: TUF repository http://127.0.0.1:1: ", errDenied},
		"a name that nothing defines": {unused.remote(t, "own"), rooted(w, "p", "acme/", "other"),
			"trustRootRef other not found", "policy p: spec.authorities[0]: trustRootRef other not found in the policy files: ", errDenied},
		"a broken one that this image does not need": {m.broken(t, "own"), rooted(w, "p", "other/", "own") + "\n---\n" +
			`{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "q"}, "spec": {
			"images": [{"glob": "**"}], "authorities": [{"static": {"action": "pass"}}]}}`, "admitted", "warning: TrustRoot own: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"root.yaml": test.resource, "policy.yaml": test.policy})
			var stdout, stderr bytes.Buffer
			flags := &verifyFlags{engineFlags: rootedFlags(t, dir), images: []string{w.Expand("${app@}")}, output: "text", timeout: time.Minute}
			if err := verify(t.Context(), flags, &stdout, &stderr); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("got %s\n%s, want %q and %q", &stdout, &stderr, test.stdout, test.stderr)
			}
		})
	}
	t.Cleanup(func() {
		if got := unused.asked.Load(); got != 0 {
			t.Errorf("got %d requests for a TrustRoot that no policy names, want none", got)
		}
	})
}

// TestRemoteTrustRootWhileServing: it is fetched beside the reviews and never by
// them, the last good one serves, and reading the same files again keeps it.
func TestRemoteTrustRootWhileServing(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	m := mirror(t, w)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"root.yaml": m.remote(t, "own"), "policy.yaml": rooted(w, "p", "acme/", "own")})
	wired, err := wire(rootedFlags(t, dir), "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &reloader{wiring: wired, log: slog.New(slog.NewTextHandler(io.Discard, nil)), metrics: server.NewMetrics("test"), wake: make(chan struct{}, 1)}
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	review, err := reviews.Pod([]string{w.Expand("${app@}")})
	if err != nil {
		t.Fatal(err)
	}
	decide := func(when string, want bool, reason string) {
		t.Helper()
		before := m.asked.Load()
		decision, err := r.engine.Decide(t.Context(), review)
		if err != nil || decision.Allowed != want || !strings.Contains(strings.Join(decision.Reasons, "\n"), reason) {
			t.Errorf("%s: got %+v, %v, want allowed=%t, %q", when, decision, err, want, reason)
		}
		if got := m.asked.Load() - before; got != 0 {
			t.Errorf("%s: got %d requests to the mirror within a review, want none", when, got)
		}
	}
	due := map[rootSource]time.Time{}
	decide("TR-2: before it was fetched", false, "trustRootRef own: TUF repository "+m.url+": not fetched yet")
	if note := r.checks()[1]; note.Err != nil || !strings.Contains(note.Note, "TrustRoot own: ") {
		t.Errorf("got %+v, want ready, with a note", note)
	}
	m.down.Store(true)
	r.refreshDue(t.Context(), due)
	decide("TR-2: while it was never had", false, "503")
	m.down.Store(false)
	clear(due)
	r.refreshDue(t.Context(), due)
	decide("TR-2: once it was fetched", true, "")
	m.down.Store(true)
	r.reload(t.Context())
	decide("TR-2: the same files again", true, "")
	writeFiles(t, dir, map[string]string{"more.yaml": rooted(w, "q", "acme/", "own")})
	r.reload(t.Context())
	decide("TR-2: other policies and the same root", true, "")
	clear(due)
	r.refreshDue(t.Context(), due)
	decide("TR-2: the mirror is down, the last good one serves", true, "")
	m.down.Store(false)
	writeFiles(t, dir, map[string]string{"root.yaml": mirror(t, smallWorld(t)).remote(t, "own")})
	r.reload(t.Context())
	decide("TR-2: another root of that name", false, "not fetched yet")
	select {
	case <-r.wake:
	default:
		t.Error("got nobody told that another root is wanted")
	}
}

// TestVerifyWithACACert runs a policy with a certificate authority of its own through
// the compiler and the builtins: KLS-2.
func TestVerifyWithACACert(t *testing.T) {
	t.Parallel()
	w, stranger := smallWorld(t), smallWorld(t)
	for name, test := range map[string]struct {
		authority *world.World
		stdout    string
		want      error
	}{
		"KLS-2: its own authority":                                       {w, "admitted", nil},
		"KLS-2: a stranger's, though the trusted root has the right one": {stranger, "cert verification failed", errDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := cip.Parse(test.authority.TrustRoot("any"))
			if err != nil {
				t.Fatal(err)
			}
			chain, err := json.Marshal(string(parsed.TrustRoots[0].Spec.SigstoreKeys.CertificateAuthorities[0].CertChain))
			if err != nil {
				t.Fatal(err)
			}
			flags := flagsFor(t, w, `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "own"}, "spec": {
				"images": [{"glob": "**"}], "authorities": [{"keyless": {
				"identities": [{"issuer": "https://github.com/login/oauth", "subject": "jane@example.com"}], "ca-cert": {"data": `+string(chain)+`}}}]}}`)
			flags.noMatch, flags.identityRegexp, flags.inlinePolicies, flags.privateRegistries = "deny", "upstream", "upstream", true
			var stdout, stderr bytes.Buffer
			if err := verify(t.Context(), &verifyFlags{engineFlags: flags, images: []string{w.Expand("${app@}")}, output: "text", timeout: time.Minute},
				&stdout, &stderr); !errors.Is(err, test.want) || !strings.Contains(stdout.String(), test.stdout) {
				t.Errorf("got %v\n%s%s\nwant %v, %q", err, &stdout, &stderr, test.want, test.stdout)
			}
		})
	}
}
