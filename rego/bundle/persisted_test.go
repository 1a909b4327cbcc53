package bundle_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/plugins/discovery"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// keeper takes what it is shown, has it kept, and then does what a process does that ends there.
type keeper struct {
	side
	names []string
	err   error
}

func (k *keeper) prepare(ctx context.Context, next bundle.Content) (func(), error) {
	for _, name := range k.names {
		if err := next.Keep(name); err != nil {
			return nil, err
		}
	}
	if k.err != nil {
		return nil, k.err
	}
	return k.side.prepare(ctx, next)
}

// TestWhatIsKeptIsWhatARestartFinds, though OPA did not come to save it.
func TestWhatIsKeptIsWhatARestartFinds(t *testing.T) {
	t.Parallel()
	policy := func(revision string) []byte {
		return tarball(t, revision, []string{"numbers", "policies/one"}, map[string]string{"/numbers/data.json": `{"x": 1}`, "/policies/one.rego": policyRego})
	}
	for through := range doors(t) {
		t.Run(through, func(t *testing.T) {
			t.Parallel()
			at, kept := doors(t)[through], t.TempDir()
			config := strings.ReplaceAll(at.config, "trigger: manual", "trigger: manual, persist: true") + "persistence_directory: " + kept + "\n"
			ends := &keeper{}
			m := open(t, config, &ends.side, func(o *bundle.Options) { o.Prepare = ends.prepare })
			finds := func(what, want string) {
				t.Helper()
				again := &side{}
				restarted := open(t, config, again, nil)
				defer restarted.Stop(context.Background())
				if got := again.last(); len(got.Bundles) != 1 || got.Bundles[0].Revision != want || !got.Bundles[0].Restored {
					t.Errorf("%s: got %v, want revision %s", what, got.Bundles, want)
				}
			}
			at.put(t, policy("1"))
			if err := m.Trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			finds("saved by OPA", "1")
			ends.err = errRefused
			at.put(t, policy("2"))
			_ = m.Trigger(t.Context()) // is refused
			finds("refused", "1")
			ends.names = []string{"a", "nobody"}
			_ = m.Trigger(t.Context()) // ends where nothing refuses it any more
			finds("kept", "2")
			// A delta is no bundle that could be loaded.
			at.put(t, delta(t, "3", []string{"numbers", "policies/one"}, "/numbers/x", json.Number("2")))
			_ = m.Trigger(t.Context())
			finds("a delta", "2")
		})
	}
}

// TestABundleThatCannotBeKept is told to whoever would remember it.
func TestABundleThatCannotBeKept(t *testing.T) {
	t.Parallel()
	s, kept := newService(t), t.TempDir()
	s.put("/a.tar.gz", tarball(t, "1", []string{"b"}, map[string]string{"/b/data.json": `{}`}))
	if err := os.WriteFile(filepath.Join(kept, "bundles"), nil, 0o600); err != nil { // where a directory has to be
		t.Fatal(err)
	}
	config := strings.ReplaceAll(manually(s.URL, "a"), "trigger: manual", "trigger: manual, persist: true") + "persistence_directory: " + kept + "\n"
	ends := &keeper{names: []string{"a"}}
	m := open(t, config, &ends.side, func(o *bundle.Options) { o.Prepare = ends.prepare })
	if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "bundle a is not kept") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestKeepingOneBundleKeepsNoOther: one that was refused may have come before it.
func TestKeepingOneBundleKeepsNoOther(t *testing.T) {
	t.Parallel()
	s, kept := newService(t), t.TempDir()
	plain := func(w http.ResponseWriter, r *http.Request) { // without tags
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = w.Write(s.bodies[r.URL.Path])
	}
	s.answer(plain)
	of := func(name, revision string) []byte {
		return tarball(t, revision, []string{name}, map[string]string{"/" + name + "/data.json": `{"x": ` + revision + `}`})
	}
	s.put("/a.tar.gz", of("a", "1"))
	s.put("/b.tar.gz", of("b", "1"))
	config := strings.ReplaceAll(manually(s.URL, "a", "b"), "trigger: manual", "trigger: manual, persist: true") + "persistence_directory: " + kept + "\n"
	ends := &keeper{names: []string{"a", "b"}}
	m := open(t, config, &ends.side, func(o *bundle.Options) {
		o.Prepare = func(ctx context.Context, next bundle.Content) (func(), error) {
			for _, of := range next.Bundles {
				if of.Name == "a" && of.Revision == "2" {
					return nil, errRefused
				}
			}
			return ends.prepare(ctx, next)
		}
	})
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put("/a.tar.gz", of("a", "2"))
	s.put("/b.tar.gz", of("b", "3"))
	for range 2 {
		_ = m.Trigger(t.Context()) // of which one is refused
	}
	again := &side{}
	open(t, config, again, nil)
	for _, got := range again.last().Bundles {
		if want := map[string]string{"a": "1", "b": "3"}[got.Name]; got.Revision != want {
			t.Errorf("%s: got revision %s, want %s", got.Name, got.Revision, want)
		}
	}
}

// TestWhatIsKeptIsBoundedToo: OPA would read it whatever it is, and what OPA notes of it is gone with
// the first poll.
func TestWhatIsKeptIsBoundedToo(t *testing.T) {
	t.Parallel()
	good := tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego})
	for name, tt := range map[string]struct {
		kept   []byte
		refuse error
		want   string
	}{
		"a bomb":              {hostile(t)["a bomb"].bundle, nil, "bundle too large"},
		"a link":              {hostile(t)["an absolute link"].bundle, nil, "bundle a: what was kept is not used: "},
		"torn":                {good[:100], nil, "truncated"},
		"refused by the gate": {good, errRefused, "what was kept is not used: " + errRefused.Error()},
		"good":                {good, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, kept, served := newService(t), t.TempDir(), &side{refuse: tt.refuse}
			at := filepath.Join(kept, "bundles", "a", "bundle.tar.gz")
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, tt.kept, 0o600)); err != nil {
				t.Fatal(err)
			}
			config := strings.ReplaceAll(manually(s.URL, "a"), "trigger: manual", "trigger: manual, persist: true") + "persistence_directory: " + kept + "\n"
			m := open(t, config, served, func(o *bundle.Options) { o.Limits = archive.Limits{Compressed: 1 << 20, Expanded: 4 << 20, Files: 100} })
			_ = m.Trigger(t.Context()) // the server has none
			if got := m.Kept(); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := len(served.published); got != map[bool]int{true: 1}[tt.want == ""] {
				t.Errorf("got %d sets, want what is good to serve alone", got)
			}
		})
	}
}

// TestADiscoveryBundleThatIsKeptIsBoundedToo, and those that it names.
func TestADiscoveryBundleThatIsKeptIsBoundedToo(t *testing.T) {
	t.Parallel()
	s, kept := newService(t), t.TempDir()
	config := "services: {s: {url: '" + s.URL + "'}}\npersistence_directory: " + kept + "\n" +
		"discovery: {service: s, resource: found.tar.gz, decision: found, trigger: manual, persist: true}\n"
	found := tarball(t, "1", []string{""}, map[string]string{"/found/data.json": `{"bundles": {"a": {"service": "s", "resource": "a.tar.gz", "trigger": "manual", "persist": true}}}`})
	place := func(name string, body []byte) {
		at := filepath.Join(kept, "bundles", name, "bundle.tar.gz")
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, body, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	limits := func(o *bundle.Options) { o.Limits = archive.Limits{Compressed: 1 << 20, Expanded: 4 << 20, Files: 100} }
	place("discovery", found)
	place("a", hostile(t)["a bomb"].bundle)
	if got, want := open(t, config, &side{}, limits).Kept(), "bundle a: what was kept is not used: "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	place("discovery", hostile(t)["a bomb"].bundle)
	if got, want := open(t, config, &side{}, limits).Kept(), "bundle discovery bundle: what was kept is not used: "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNoBundleIsTakenForTheDiscoveryBundle, nor for another bundle, by a restart or by whoever remembers names.
func TestNoBundleIsTakenForTheDiscoveryBundle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, discovery, bundles, want string }{
		{"by the directory", `{}`, `{"discovery": {"persist": true}}`, "bundles.discovery: got a name of the discovery bundle"},
		{"by the directory, otherwise written", `{}`, `{"./discovery/": {"persist": true}}`, "got a name of the discovery bundle"},
		{"where nothing is kept", `{}`, `{"discovery": {}}`, "bundles.discovery: got a name of the discovery bundle"},
		{"by the name", `{}`, `{"discovery bundle": {}}`, "bundles.discovery bundle: got a name of the discovery bundle"},
		{"by a directory of another name", `{"name": "boot"}`, `{"boot": {"persist": true}}`, "bundles.boot: got persist in the directory boot of the discovery bundle"},
		{"by each other", `{}`, `{"a": {"persist": true}, "x/../a": {"persist": true}}`, "bundles.x/../a: got persist in the directory a of bundles.a"},
		{"apart", `{"name": "boot"}`, `{"a": {"persist": true}, "b": {"persist": true}, "boot": {}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			common := "services: {s: {url: '" + s.URL + "'}}\npersistence_directory: " + t.TempDir() + "\n"
			_, err := bundle.Open(bundle.Options{Config: []byte(common + "discovery: " + merged(t, tt.discovery) + "\nbundles: " + tt.bundles + "\n"),
				Prepare: (&side{}).prepare, Removed: (&side{}).removed})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("of the file: got %v, want %q", err, tt.want)
			}
			s.put("/found.tar.gz", found(t, "1", `{"bundles": `+tt.bundles+`}`))
			m := open(t, common+"discovery: "+merged(t, tt.discovery)+"\n", &side{}, nil)
			_ = discovery.Lookup(m.OPA()).Trigger(t.Context()) // what becomes of it, the status says
			if got := m.Statuses()["discovery bundle"].Error; (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("discovered: got %q, want %q", got, tt.want)
			}
		})
	}
}

// merged is a discovery block that says more.
func merged(t *testing.T, more string) string {
	t.Helper()
	block := map[string]any{"service": "s", "resource": "found.tar.gz", "decision": "found", "trigger": "manual", "persist": true}
	if err := json.Unmarshal([]byte(more), &block); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(block)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
