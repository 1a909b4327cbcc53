package bundle_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"

	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
)

// found is a discovery bundle with that configuration.
func found(t testing.TB, revision, config string) []byte {
	t.Helper()
	return tarball(t, revision, []string{""}, map[string]string{"/found/data.json": config})
}

// discovering is the configuration of a manager that discovers all else.
func discovering(service, more string) string {
	return "services: {s: {url: '" + service + "'}}\ndiscovery: {service: s, resource: found.tar.gz, decision: found" + more + "}\n"
}

// onDemand has nothing looked for that is not triggered, bundles of feeds among it.
const onDemand = ", trigger: manual"

// fedBy has every bundle come from a feed, and notes when that is in force.
type fedBy struct {
	feeds map[string]*feed // by resource

	mu      sync.Mutex
	applied []string
}

// inForce are the resources that were in force, of each configuration.
func (f *fedBy) inForce() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.applied)
}

func (f *fedBy) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = nil
}

func (f *fedBy) see(all []configured.Source) (map[string]bundle.Feed, func(), error) {
	out := map[string]bundle.Feed{}
	var resources []string
	for _, of := range all {
		if !of.Discovery {
			out[of.Name] = f.feeds[of.Resource]
			resources = append(resources, of.Resource)
		}
	}
	return out, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.applied = append(f.applied, strings.Join(resources, " "))
	}, nil
}

// TestWhatOPARefusesOfADiscoveredConfigurationChangesNothing: it shows the configuration before it
// looks at all of it, and what was made of it then was in force.
func TestWhatOPARefusesOfADiscoveredConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	one := &feed{changed: make(chan struct{})}
	one.set(tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}), "sha256:1")
	two := &feed{changed: make(chan struct{})}
	two.set(tarball(t, "2", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}), "sha256:2")
	fed := &fedBy{feeds: map[string]*feed{"one": one, "two": two}}
	s.put("/found.tar.gz", found(t, "1", `{"bundles": {"a": {"resource": "one"}}}`))
	applied := make(chan string, 100)
	m := open(t, discovering(s.URL, ", polling: {min_delay_seconds: 1, max_delay_seconds: 1}"), served, func(o *bundle.Options) {
		o.Sources = fed.see
		o.Applied = func(d archive.Discovery) { applied <- d.Revision }
	})
	becomes := func(what string, is func(of map[string]bundle.Status) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !is(m.Statuses()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got %+v, want %s", m.Statuses(), what)
			}
		}
	}
	becomes("the first", func(of map[string]bundle.Status) bool { return of["a"].Revision == "1" })
	for name, config := range map[string]string{
		"another source, and logs that nobody has": `{"bundles": {"a": {"resource": "two"}}, "decision_logs": {"plugin": "nowhere"}}`,
		"no bundle, and a status of no service":    `{"bundles": {}, "status": {"service": "nowhere"}}`,
		"a bundle that is none":                    `{"bundles": {"a": 1}}`,
	} {
		s.put("/found.tar.gz", found(t, "2", config))
		becomes(name, func(of map[string]bundle.Status) bool { return of["discovery bundle"].Error != "" })
		if got := m.Statuses()["discovery bundle"]; got.Revision != "1" {
			t.Errorf("%s: got %+v, want revision 1", name, got)
		}
		if diff := cmp.Diff([]string{"", "one"}, fed.inForce()); diff != "" {
			t.Errorf("%s: sources in force (-want +got):\n%s", name, diff)
		}
		s.put("/found.tar.gz", found(t, "1", `{"bundles": {"a": {"resource": "one"}}}`))
		becomes("the first again", func(of map[string]bundle.Status) bool { return of["discovery bundle"].Error == "" })
	}
	fed.forget()
	// OPA goes on with the bundles that there are where a configuration has none.
	s.put("/found.tar.gz", found(t, "3", `{"labels": {"x": "y"}}`))
	becomes("the third", func(of map[string]bundle.Status) bool { return of["discovery bundle"].Revision == "3" })
	s.put("/found.tar.gz", found(t, "4", `{"bundles": {"a": {"resource": "two"}}}`))
	becomes("another source", func(of map[string]bundle.Status) bool { return of["a"].Revision == "2" })
	if diff := cmp.Diff([]string{"one", "two"}, fed.inForce()); diff != "" {
		t.Errorf("sources in force (-want +got):\n%s", diff)
	}
	close(applied)
	var revisions []string
	for revision := range applied {
		revisions = append(revisions, revision)
	}
	if diff := cmp.Diff([]string{"1", "3", "4"}, revisions); diff != "" {
		t.Errorf("discovery bundles in force (-want +got):\n%s", diff)
	}
}

// TestADiscoveryBundleIsSeenBeforeItIsEvaluated: what is refused is not, from the network or the disk.
func TestADiscoveryBundleIsSeenBeforeItIsEvaluated(t *testing.T) {
	t.Parallel()
	s, directory := newService(t), t.TempDir()
	config := discovering(s.URL, onDemand+", persist: true") + fmt.Sprintf("persistence_directory: %q\n", directory)
	var refuse error
	var seen []string
	change := func(o *bundle.Options) {
		o.Discovered = func(d archive.Discovery) error {
			seen = append(seen, fmt.Sprintf("%s %d", d.Revision, len(d.Modules)))
			return refuse
		}
	}
	s.put("/found.tar.gz", tarball(t, "1", []string{""}, map[string]string{"/found.rego": "package found\n\nlabels := {\"x\": \"1\"}\n"}))
	m := open(t, config, &side{}, change)
	discover(t, m)
	label := func(m *bundle.Manager) string { return m.OPA().Labels()["x"] }
	if got := label(m); got != "1" {
		t.Fatalf("got label %q, want that of the first", got)
	}
	refuse = errRefused
	s.put("/found.tar.gz", found(t, "2", `{"labels": {"x": "2"}}`))
	_ = discovery.Lookup(m.OPA()).Trigger(t.Context()) // what becomes of it, the status says
	if got := m.Statuses()["discovery bundle"]; label(m) != "1" || !strings.Contains(got.Error, errRefused.Error()) {
		t.Errorf("got label %q and %+v, want that of the first, and the refusal", label(m), got)
	}
	m.Stop(context.Background())
	s.put("/found.tar.gz", nil)
	m = open(t, config, &side{}, change)
	if got := label(m); got != "" || !strings.Contains(m.Kept(), errRefused.Error()) {
		t.Errorf("from the disk: got label %q and %q, want none, and the refusal", got, m.Kept())
	}
	if diff := cmp.Diff([]string{"1 1", "2 0", "1 1"}, seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}

// TestWhatWasKeptOfDiscoveryIsInForce: nothing tells of it but the state of the plugin.
func TestWhatWasKeptOfDiscoveryIsInForce(t *testing.T) {
	t.Parallel()
	s, directory := newService(t), t.TempDir()
	config := discovering(s.URL, onDemand+", persist: true") + fmt.Sprintf("persistence_directory: %q\n", directory)
	s.put("/found.tar.gz", found(t, "1", `{"bundles": {"a": {"resource": "one"}}}`))
	one := &feed{changed: make(chan struct{})}
	fed := &fedBy{feeds: map[string]*feed{"one": one}}
	discover(t, open(t, config, &side{}, func(o *bundle.Options) { o.Sources = fed.see }))
	s.put("/found.tar.gz", nil)
	fed.forget()
	m := open(t, config, &side{}, func(o *bundle.Options) { o.Sources = fed.see })
	if diff := cmp.Diff([]string{"", "one"}, fed.inForce()); diff != "" {
		t.Errorf("sources in force (-want +got):\n%s", diff)
	}
	if got := m.Waiting(nil); got != "bundle a is not active yet" {
		t.Errorf("got %q, want the bundle to be waited for", got)
	}
}

// TestARemarkIsNoError: OPA says in the message of a status which keys the file overrides.
func TestARemarkIsNoError(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put("/found.tar.gz", found(t, "1", `{"labels": {"x": "1"}}`))
	m := open(t, discovering(s.URL, onDemand)+"labels: {x: '2'}\n", &side{}, nil)
	discover(t, m)
	if got := m.Statuses()["discovery bundle"]; got.Revision != "1" || got.Error != "" {
		t.Errorf("got %+v, want revision 1 and no error", got)
	}
}

// TestWhatOPATakesIsInForceThoughItCannotBeKept: OPA says that something failed, after it took the
// configuration. What it asks for then has to be there.
func TestWhatOPATakesIsInForceThoughItCannotBeKept(t *testing.T) {
	t.Parallel()
	s, directory, served := newService(t), t.TempDir(), &side{}
	if err := os.WriteFile(filepath.Join(directory, "bundles"), []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := &feed{changed: make(chan struct{})}
	one.set(tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}), "sha256:1")
	fed := &fedBy{feeds: map[string]*feed{"one": one}}
	s.put("/found.tar.gz", found(t, "1", `{"bundles": {"a": {"resource": "one"}}}`))
	m := open(t, discovering(s.URL, ", persist: true, polling: {min_delay_seconds: 1, max_delay_seconds: 1}")+fmt.Sprintf("persistence_directory: %q\n", directory),
		served, func(o *bundle.Options) { o.Sources = fed.see })
	for deadline := time.Now().Add(time.Minute); m.Statuses()["a"].Revision != "1"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want the bundle", m.Statuses())
		}
	}
	if got := m.Waiting(served.deciding()); got != "" && !strings.Contains(got, "discovery") {
		t.Errorf("got %q, want no bundle to be waited for", got)
	}
}

// TestARefusedConfigurationDoesNotSayWhoIsAsked: OPA has its services at hand when it refuses it.
func TestARefusedConfigurationDoesNotSayWhoIsAsked(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	good, other := newRegistry(t), newRegistry(t)
	good.push(t, tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	other.push(t, tarball(t, "2", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	config := func(url, more string) string {
		return fmt.Sprintf(`{"services": {"reg": {"url": %q, "type": "oci"}}, "bundles": {"a": {"service": "reg", "resource": "r/p:prod", "trigger": "manual"}}%s}`, url, more)
	}
	s.put("/found.tar.gz", found(t, "1", config(good.URL, "")))
	m := open(t, discovering(s.URL, onDemand), served, nil)
	discover(t, m)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put("/found.tar.gz", found(t, "2", config(other.URL, `, "decision_logs": {"plugin": "nowhere"}`)))
	_ = discovery.Lookup(m.OPA()).Trigger(t.Context()) // what becomes of it, the status says
	if got := m.Statuses()["discovery bundle"]; got.Revision != "1" || got.Error == "" {
		t.Fatalf("got %+v, want revision 1 and a refusal", got)
	}
	good.push(t, tarball(t, "3", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.Statuses()["a"].Revision; got != "3" {
		t.Errorf("got revision %s, want that of the service which is in force", got)
	}
}
