package bundle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego/bundle"
)

// configMap is a bundle that has one besides numbers, and that one has a root of its own.
func configMap(t *testing.T, name, revision string) []byte {
	t.Helper()
	return tarball(t, revision, []string{name, "resources/ConfigMap/team/" + name}, map[string]string{
		"/" + name + "/data.json": `{"x": 1}`,
		"/resources/ConfigMap/team/" + name + "/data.json": fmt.Sprintf(
			`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": %q, "namespace": "team"}, "data": {"x": "1"}}`, name),
	})
}

// TestABundleLosesItsLastObject: OPA erases what was at a root, and leaves the namespace above it.
func TestABundleLosesItsLastObject(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	s.put("/a.tar.gz", configMap(t, "a", "1"))
	m := open(t, manually(s.URL, "a"), served, nil)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, revision := range []string{"2", "3"} {
		s.put("/a.tar.gz", tarball(t, revision, []string{"a"}, map[string]string{"/a/data.json": `{"x": ` + revision + `}`}))
		if err := m.Trigger(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := served.last(); got.Bundles[0].Revision != revision || len(got.Resources) != 0 {
			t.Errorf("got %v and %d objects, want revision %s without any", got.Bundles, len(got.Resources), revision)
		}
	}
	s.put("/a.tar.gz", configMap(t, "a", "4"))
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := served.last().Resources; len(got) != 1 {
		t.Errorf("got %v, want the object again", got)
	}
	// What a bundle has at its own root is its own word, also where that is nothing.
	s.put("/a.tar.gz", delta(t, "5", []string{"a", "resources/ConfigMap/team/a"}, "/resources/ConfigMap/team/a", map[string]any{}))
	if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), "resources/ConfigMap/team/a: got nothing, want a Kubernetes object") {
		t.Errorf("a delta: got %v, want a refusal", err)
	}
}

// discoveredBundles is a discovery bundle with some of them, each of which is looked for on demand.
func discoveredBundles(t *testing.T, revision string, names ...string) []byte {
	t.Helper()
	var blocks []string
	for _, name := range names {
		blocks = append(blocks, fmt.Sprintf(`%q: {"service": "s", "resource": "%s.tar.gz", "trigger": "manual", "persist": true}`, name, name))
	}
	return found(t, revision, `{"bundles": {`+strings.Join(blocks, ", ")+`}}`)
}

// TestABundleWithANamespacedObjectIsTakenOut: OPA ends the program where that is refused, and would do
// so at every start that finds the same on the disk.
func TestABundleWithANamespacedObjectIsTakenOut(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	config := discovering(s.URL, onDemand+", persist: true") + fmt.Sprintf("persistence_directory: %q\n", t.TempDir())
	s.put("/a.tar.gz", configMap(t, "a", "1"))
	s.put("/b.tar.gz", configMap(t, "b", "1"))
	s.put("/found.tar.gz", discoveredBundles(t, "1", "a", "b"))
	m := open(t, config, served, nil)
	discover(t, m)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put("/found.tar.gz", discoveredBundles(t, "2", "b"))
	discover(t, m)
	s.put("/found.tar.gz", found(t, "3", `{"bundles": {}}`))
	discover(t, m)
	if len(served.left) != 2 || len(served.left[0].Resources) != 1 || len(served.left[1].Resources)+len(served.left[1].Bundles) != 0 {
		t.Errorf("got %v, want bundle b alone to be left, then none", served.left)
	}
	m.Stop(context.Background())
	m = open(t, config, &side{}, nil)
	s.put("/found.tar.gz", discoveredBundles(t, "4", "a"))
	discover(t, m)
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.Statuses()["a"]; got.Revision != "1" || got.Error != "" {
		t.Errorf("got %+v, want revision 1", got)
	}
}

// TestNothingIsTakenOutOfWhatWasNotPublished: a change of the configuration that takes no bundle out
// is a transaction, too, which tells nobody anything, and is no reason to end the program.
func TestNothingIsTakenOutOfWhatWasNotPublished(t *testing.T) {
	t.Parallel()
	s, served := newService(t), &side{}
	for _, name := range []string{"a", "b", "c"} {
		s.put("/"+name+".tar.gz", configMap(t, name, "1"))
	}
	s.put("/found.tar.gz", discoveredBundles(t, "1", "a"))
	panics := true
	m := open(t, discovering(s.URL, onDemand)+fmt.Sprintf("persistence_directory: %q\n", t.TempDir()), served, func(o *bundle.Options) {
		o.Prepare = func(ctx context.Context, next bundle.Content) (func(), error) {
			publish, err := served.prepare(ctx, next)
			return func() {
				if panics {
					panic("in the middle")
				}
				publish()
			}, err
		}
	})
	discover(t, m)
	refused := func(what, want string) {
		t.Helper()
		if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", what, err, want)
		}
	}
	refused("not published", "in the middle")
	served.refuses(errRefused)
	s.put("/found.tar.gz", discoveredBundles(t, "2", "a", "b"))
	discover(t, m)
	if len(served.left)+len(served.published) != 0 {
		t.Errorf("got %v and %v, want nobody told", served.left, served.published)
	}
	refused("prepared again", errRefused.Error())
	served.refuses(nil)
	panics = false
	if err := m.Trigger(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := served.last().Bundles; len(got) != 2 {
		t.Errorf("got %v, want what was not published, and the other", got)
	}
	served.refuses(errRefused)
	s.put("/found.tar.gz", discoveredBundles(t, "3", "b", "c"))
	discover(t, m)
	if len(served.left) != 1 || len(served.left[0].Bundles) != 1 {
		t.Errorf("got %v, want bundle b to be left, though whoever serves would refuse it", served.left)
	}
}
