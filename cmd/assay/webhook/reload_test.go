package webhook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/cmd/assay/suite"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/server"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "test" { // a bundle has its tests run by the program
		builtins.Register()
		askFirst()
		tests := suite.Command()
		tests.SetArgs(os.Args[2:])
		if err := tests.Execute(); err != nil {
			os.Exit(2)
		}
		return
	}
	builtins.Register()
	bundle.Register()
	os.Exit(m.Run())
}

// aging is a default root that a test takes away.
type aging struct{ root *trust.Root }

func (a *aging) Serving() (*trust.Root, string) {
	if a.root == nil {
		return nil, "trusted root is stale"
	}
	return a.root, ""
}

func (a *aging) Refresh(context.Context) error { return errors.New("the mirror is down") }

// TestReadinessOfTheTrustRoot: no root at start is not ready; one that was lost
// denies what needs it, and all replicas stay in service to do so.
func TestReadinessOfTheTrustRoot(t *testing.T) {
	t.Parallel()
	root := &aging{}
	r := &reloader{wiring: &wiring.Wiring{Root: root}, needsRoot: true}
	readiness := func() server.Check { return r.checks()[1] }
	if got := readiness(); got.Err == nil {
		t.Errorf("no root yet: got %+v, want not ready", got)
	}
	root.root = &trust.Root{}
	if got := readiness(); got.Err != nil || got.Note != "" {
		t.Errorf("a root: got %+v, want ready", got)
	}
	root.root = nil
	if got := readiness(); got.Err != nil || !strings.Contains(got.Note, "stale") {
		t.Errorf("the root is lost: got %+v, want ready with a note", got)
	}
	// Only a policy of a namespace wants it: it fails there, and all others are served.
	r = &reloader{wiring: &wiring.Wiring{Root: &aging{}}, roots: map[string]wiring.RootSource{"": &aging{}}}
	if got := r.checks()[1]; got.Err != nil || !strings.Contains(got.Note, "stale") {
		t.Errorf("a namespace wants it: got %+v, want ready with a note", got)
	}
}

// TestPolicyWarningsAreLoggedOnce, and again only when the policies change.
func TestPolicyWarningsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	policy := func(message string) {
		text := `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": {
			"images": [{"glob": "**"}], "match": [{"resource": "pods"}],
			"authorities": [{"static": {"action": "fail", "message": "` + message + `"}}]}}`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy("first")
	var log bytes.Buffer
	w, err := wiring.New(wiring.Flags{Policies: []string{file}, NoMatch: "deny", IdentityRegexp: "upstream", InlinePolicies: "upstream", TUF: wiring.TUFFlags{Cache: t.TempDir()}}, "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newReloader(w, server.NewMetrics("test"), slog.New(slog.NewTextHandler(&log, nil)))
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	warned := func() int { return strings.Count(log.String(), "matches nothing") }
	once := warned()
	r.reload(t.Context())
	if got := warned(); once == 0 || got != once {
		t.Errorf("got %d warnings at start and %d after a poll, want some and no more", once, got)
	}
	policy("second")
	r.reload(t.Context())
	if got := warned(); got != 2*once {
		t.Errorf("after a change: got %d warnings, want %d", got, 2*once)
	}
}

// TestPoliciesThatAreAllGone go on to serve where nothing would be denied without
// them, and are gone where everything would.
func TestPoliciesThatAreAllGone(t *testing.T) {
	t.Parallel()
	for noMatch, want := range map[string]int{"deny": 0, "warn": 1, "allow": 1} {
		t.Run(noMatch, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "policy.yaml")
			text := `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": {
				"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]}}`
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := wiring.Flags{Policies: []string{dir}, NoMatch: noMatch, IdentityRegexp: "upstream", InlinePolicies: "upstream"}
			flags.TUF.Cache = t.TempDir()
			w, err := wiring.New(flags, "deny", 0)
			if err != nil {
				t.Fatal(err)
			}
			r := newReloader(w, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
			if err := r.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			r.reload(t.Context())
			if got := len(r.engine.Set().Policies()); got != want {
				t.Errorf("got %d policies, want %d", got, want)
			}
		})
	}
}

// TestPanicsWhileLoadingAreRefusals: the process goes on to serve what it served.
func TestPanicsWhileLoadingAreRefusals(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	text := `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": {
		"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := wiring.Defaults()
	flags.Policies, flags.TUF.Cache = []string{file}, t.TempDir()
	w, err := wiring.New(flags, "deny", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := newReloader(w, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := r.engine.Set()
	set, _ := r.load(t.Context(), func(context.Context) (*wiring.Documents, error) { panic("over a policy") })
	if set != nil || r.engine.Set() != before || r.failure == nil {
		t.Errorf("got %v and failure %v, want a refusal, and what served to serve", set, r.failure)
	}
}

// TestPoliciesOfFilesThatAreAllGone go on to serve beside those of a cluster: a mount that is
// empty for a moment withdraws nothing, whatever else admits the images.
func TestPoliciesOfFilesThatAreAllGone(t *testing.T) {
	t.Parallel()
	const policy = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": {
		"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]}}`
	parsed, err := cip.Parse([]byte(strings.ReplaceAll(policy, `"p"`, `"q"`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		objects watch.Objects
		want    []string
	}{
		{"beside a policy of the cluster", watch.Objects{Policies: parsed.Policies}, []string{"p", "q"}},
		{"where settings admit what nothing matches", watch.Objects{Settings: watch.Settings{NoMatch: "allow"}}, []string{"p"}},
		{"where nothing is left, and that is denied", watch.Objects{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "policy.yaml")
			if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := wiring.Defaults()
			flags.Policies, flags.TUF.Cache, flags.Cluster = []string{dir}, t.TempDir(), true
			w, err := wiring.New(flags, "deny", 0)
			if err != nil {
				t.Fatal(err)
			}
			r := newReloader(w, server.NewMetrics("test"), slog.New(slog.DiscardHandler))
			r.cluster = &cluster{}
			if err := r.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			read := func(ctx context.Context) (*wiring.Documents, error) { return w.ReadCluster(ctx, tt.objects) }
			r.load(t.Context(), read)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			r.load(t.Context(), read)
			if diff := cmp.Diff(tt.want, r.engine.Set().Policies()); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
		})
	}
}
