package webhook

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/tuf"
)

// signedWorld has one image of one signature.
func signedWorld(t *testing.T) *world.World {
	t.Helper()
	description, err := world.Parse([]byte("signers: {jane: {issuer: https://github.com/login/oauth, subject: jane@example.com}}\n" +
		"images: {app: {repository: acme/app, signatures: [{signer: jane}]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(description)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// mirror serves the root of a world.
func mirror(t *testing.T, w *world.World) *tuf.Mirror {
	t.Helper()
	root, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	made, err := tuf.New(tuf.At(time.Now().Add(time.Hour)), tuf.Target{Name: "trusted_root.json", Content: root})
	if err != nil {
		t.Fatal(err)
	}
	m := tuf.Serve(made)
	t.Cleanup(m.Close)
	return m
}

// remote is the TrustRoot "own", refreshed from the mirror.
func remote(t *testing.T, m *tuf.Mirror) string {
	t.Helper()
	text, err := m.TrustRoot("own")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rooted is a policy whose signatures the TrustRoot "own" verifies.
func rooted(w *world.World, name string) string {
	return `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "` + name + `"}, "spec": {
		"images": [{"glob": "` + w.Expand("${registry}") + `/acme/*"}], "authorities": [{
		"keyless": {"identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}], "trustRootRef": "own"},
		"ctlog": {"trustRootRef": "own"}}]}}`
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func flagsFor(t *testing.T, dir string) wiring.Flags {
	t.Helper()
	flags := wiring.Defaults()
	flags.Policies, flags.PrivateRegistries = []string{dir}, true
	flags.TUF = wiring.TUFFlags{Mirror: "http://127.0.0.1:1", Cache: t.TempDir(), MaxStale: time.Hour}
	return flags
}

// TestRemoteTrustRootWhileServing: it is fetched beside the reviews and never by
// them, the last good one serves, and reading the same files again keeps it.
func TestRemoteTrustRootWhileServing(t *testing.T) {
	t.Parallel()
	w := signedWorld(t)
	m := mirror(t, w)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"root.yaml": remote(t, m), "policy.yaml": rooted(w, "p")})
	wired, err := wiring.New(flagsFor(t, dir), "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newReloader(wired, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	review, err := reviews.Pod([]string{w.Expand("${app@}")})
	if err != nil {
		t.Fatal(err)
	}
	decide := func(when string, want bool, reason string) {
		t.Helper()
		before := m.Asked.Load()
		decision, err := r.engine.Decide(t.Context(), review)
		if err != nil || decision.Allowed != want || !strings.Contains(strings.Join(decision.Reasons, "\n"), reason) {
			t.Errorf("%s: got %+v, %v, want allowed=%t, %q", when, decision, err, want, reason)
		}
		if got := m.Asked.Load() - before; got != 0 {
			t.Errorf("%s: got %d requests to the mirror within a review, want none", when, got)
		}
	}
	due := map[wiring.RootSource]time.Time{}
	decide("TR-2: before it was fetched", false, "trustRootRef own: TUF repository "+m.URL+": not fetched yet")
	if note := r.checks()[1]; note.Err != nil || !strings.Contains(note.Note, "TrustRoot own: ") {
		t.Errorf("got %+v, want ready, with a note", note)
	}
	m.Down.Store(true)
	r.refreshDue(t.Context(), due)
	decide("TR-2: while it was never had", false, "503")
	m.Down.Store(false)
	clear(due)
	r.refreshDue(t.Context(), due)
	decide("TR-2: once it was fetched", true, "")
	m.Down.Store(true)
	r.reload(t.Context())
	decide("TR-2: the same files again", true, "")
	writeFiles(t, dir, map[string]string{"more.yaml": rooted(w, "q")})
	r.reload(t.Context())
	decide("TR-2: other policies and the same root", true, "")
	clear(due)
	r.refreshDue(t.Context(), due)
	decide("TR-2: the mirror is down, the last good one serves", true, "")
	if note := r.checks()[1]; note.Err != nil || !strings.Contains(note.Note, "TrustRoot own serves as it was read at ") || !strings.Contains(note.Note, "503") {
		t.Errorf("got %+v, want ready, with a note of the mirror", note)
	}
	if got := r.rootStates(); len(got) != 1 || !got[0].Serving || got[0].Current {
		t.Errorf("got %+v, want it serving and not current", got)
	}
	m.Down.Store(false)
	writeFiles(t, dir, map[string]string{"root.yaml": remote(t, mirror(t, signedWorld(t)))})
	r.reload(t.Context())
	decide("TR-2: another root of that name", false, "not fetched yet")
	select {
	case <-r.wake:
	default:
		t.Error("got nobody told that another root is wanted")
	}
}

// TestARefusedChangeForgetsNoTrustRoot: the source that decisions ask is the one that is
// refreshed, whatever was read and refused meanwhile.
func TestARefusedChangeForgetsNoTrustRoot(t *testing.T) {
	t.Parallel()
	w := signedWorld(t)
	m := mirror(t, w)
	dir := t.TempDir()
	files := map[string]string{"root.yaml": remote(t, m), "policy.yaml": rooted(w, "p")}
	writeFiles(t, dir, files)
	wired, err := wiring.New(flagsFor(t, dir), "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newReloader(wired, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	review, err := reviews.Pod([]string{w.Expand("${app@}")})
	if err != nil {
		t.Fatal(err)
	}
	compile := r.compile
	r.compile = func(context.Context, *wiring.Documents, *rego.Set) (*rego.Set, error) {
		return nil, errors.New("refused")
	}
	writeFiles(t, dir, map[string]string{"root.yaml": rooted(w, "q")})
	if r.reload(t.Context()); r.failure == nil {
		t.Fatal("got no refusal")
	}
	r.compile = compile
	writeFiles(t, dir, files)
	if r.reload(t.Context()); r.failure != nil {
		t.Fatal(r.failure)
	}
	r.refreshDue(t.Context(), map[wiring.RootSource]time.Time{})
	decision, err := r.engine.Decide(t.Context(), review)
	if err != nil || !decision.Allowed {
		t.Errorf("got %+v, %v, want the root that was refreshed to serve", decision, err)
	}
}

// TestRefreshThatIsTooOften would ask a mirror all the time.
func TestRefreshThatIsTooOften(t *testing.T) {
	t.Parallel()
	for every, refused := range map[time.Duration]bool{
		-time.Hour: true, time.Millisecond: true, 0: false, time.Second: false, 24 * time.Hour: false,
	} {
		if err := checkRefresh(every); (err != nil) != refused {
			t.Errorf("%s: got %v, want it refused: %t", every, err, refused)
		}
	}
}
