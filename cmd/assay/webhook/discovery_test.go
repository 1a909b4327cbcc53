package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// TestAnActivationDoesNotHideThatFilesAreGone: it reads them, too.
func TestAnActivationDoesNotHideThatFilesAreGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"file.yaml": strings.Replace(denying("a.io/**", ""), `"name": "p"`, `"name": "file"`, 1),
		"x.rego":    "package policies.x\n\ndeny contains \"rego of a file\" if input.request\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := newBucket(t, map[string][]byte{"main": failing(t, "1", "p", "b.io/**", "")})
	f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, _ *bundled.Flags) {
		flags.Policies, flags.NoMatch = []string{dir}, "allow"
	})
	f.fetch()
	for _, name := range []string{"file.yaml", "x.rego"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.reloader.reload(t.Context())
	files.put("main", failing(t, "2", "p", "b.io/**", ""))
	if err := f.trigger(); err == nil || !strings.Contains(err.Error(), "got no policies") {
		t.Errorf("got %v, want a refusal", err)
	}
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: file") {
		t.Errorf("got %q, want the policy of the file to serve", got)
	}
}

// inRego is a bundle with a policy in Rego, or one that has it no more.
func inRego(t testing.TB, revision string, some bool) []byte {
	t.Helper()
	files := map[string]string{"data.json": `{"teams": {}}`}
	if some {
		files["y.rego"] = "package policies.y\n\ndeny contains \"rego of a bundle\" if input.request\n"
	}
	return bundleOf(t, fmt.Sprintf(`{"revision": %q, "roots": ["policies/y", "teams"]}`, revision), files)
}

// TestTheLastRegoOfABundleMayGo: its author took it out, which is no mount that is gone for a moment.
func TestTheLastRegoOfABundleMayGo(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{"main": inRego(t, "1", true)})
	f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, _ *bundled.Flags) { flags.NoMatch = "allow" })
	f.fetch()
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "rego of a bundle") {
		t.Fatalf("got %q, want its denial", got)
	}
	files.put("main", inRego(t, "2", false))
	f.fetch()
	if got := f.says("a.io/x" + digest); got != "" {
		t.Errorf("got %q, want no denial", got)
	}
}

// TestRegoOfABundleIsNotThatOfFiles: where that of files is gone at once, it is no replacement.
func TestRegoOfABundleIsNotThatOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"x.rego": "package policies.x\n\ndeny contains \"rego of a file\" if input.request\n"})
	files := newBucket(t, map[string][]byte{"main": inRego(t, "1", true)})
	f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, _ *bundled.Flags) { flags.Policies = []string{dir} })
	f.fetch()
	if err := os.Remove(filepath.Join(dir, "x.rego")); err != nil {
		t.Fatal(err)
	}
	f.reloader.reload(t.Context())
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "rego of a file") {
		t.Errorf("got %q, want the Rego of the file to serve", got)
	}
	if got := f.ready(); !strings.Contains(got, "got no policies in Rego, and 1 serve") {
		t.Errorf("got %q, want the cause", got)
	}
}

// TestABundleThatTakesTheirPlaceIsWaitedFor: one that discovery names in the place of another, or
// of none. One that it adds is not: what served serves on.
func TestABundleThatTakesTheirPlaceIsWaitedFor(t *testing.T) {
	t.Parallel()
	found := func(names ...string) []byte {
		var bundles []string
		for _, name := range names {
			bundles = append(bundles, fmt.Sprintf(`%q: {"service": "s", "resource": %q, "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}`, name, name))
		}
		return bundleOf(t, `{"revision": "d"}`, map[string]string{"data.json": `{"bundles": {` + strings.Join(bundles, ",") + `}}`})
	}
	files := newBucket(t, map[string][]byte{"a": failing(t, "1", "p", "a.io/**", ""), "disc": found()})
	f := withBundles(t, fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\n"+
		"discovery: {service: s, resource: disc, polling: {min_delay_seconds: 1, max_delay_seconds: 1}}\n", files.URL, t.TempDir()),
		func(flags *wiring.Flags, _ *bundled.Flags) { flags.NoMatch = "allow" })
	image := "a.io/x" + digest
	admitted := func() string {
		if f.says(image) == "" {
			return "admitted"
		}
		return ""
	}
	f.becomes("discovery without bundles", admitted, "admitted")
	files.put("disc", found("a"))
	f.becomes("a bundle", f.about(image), "failed policy: p")
	files.put("disc", found("b"))
	f.becomes("another that is not there", f.about(image), "bundle b is not active yet")
	f.becomes("another that is not there", f.ready, "everything is denied: bundle b is not active yet")
	files.put("b", failing(t, "1", "q", "a.io/**", ""))
	f.becomes("the other", f.about(image), "failed policy: q")
	files.put("disc", found("b", "c"))
	f.becomes("one more that is not there", f.ready, "bundle c: ")
	if got := f.says(image); !strings.Contains(got, "failed policy: q") {
		t.Errorf("got %q, want what served to serve on", got)
	}
	files.put("disc", []byte("no bundle"))
	f.becomes("the cause of a broken discovery", f.ready, "discovery bundle: ")
}

// TestExpiredBundlesDoNotHoldUpEachOther: each fresh one is taken.
func TestExpiredBundlesDoNotHoldUpEachOther(t *testing.T) {
	t.Parallel()
	at := func(name, revision string, until time.Time) []byte { return expiringAs(t, name, revision, until) }
	soon := time.Now().Add(3 * time.Second)
	files := newBucket(t, map[string][]byte{"a": at("a", "1", soon), "b": at("b", "1", soon)})
	f := withBundles(t, manual(t, files.URL, "a", "b"), nil)
	f.fetch()
	f.becomes("both past their time", func() string { return f.reloader.bundles.Denies(time.Now()) }, "it expired at")
	later := time.Now().Add(time.Hour)
	files.put("a", at("a", "2", later))
	files.put("b", at("b", "2", later))
	f.fetch()
	if got := f.reloader.bundles.Denies(time.Now()); got != "" {
		t.Errorf("got %q, want no denial", got)
	}
}

// TestADiscoveryBundleIsHeldToWhatBundlesAre: who replays an old one, or writes one, chooses all others.
func TestADiscoveryBundleIsHeldToWhatBundlesAre(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(trap.Close)
	found := func(revision, bundles string) []byte {
		return bundleOf(t, fmt.Sprintf(`{"revision": %q}`, revision), map[string]string{"data.json": `{"bundles": {` + bundles + `}}`})
	}
	const a = `"a": {"service": "s", "resource": "a", "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}`
	files := newBucket(t, map[string][]byte{"a": failing(t, "1", "p", "a.io/**", ""), "disc": found("2", a)})
	f := withBundles(t, fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\nlabels: {region: eu}\n"+
		"discovery: {service: s, resource: disc, polling: {min_delay_seconds: 1, max_delay_seconds: 1}}\n", files.URL, t.TempDir()),
		func(flags *wiring.Flags, from *bundled.Flags) {
			flags.NoMatch, from.Minimum = "allow", map[string]string{"discovery bundle": "2"}
		})
	image := "a.io/x" + digest
	f.becomes("the bundle", f.about(image), "failed policy: p")
	for name, tt := range map[string]struct {
		body []byte
		want string
	}{
		"an older one":                {found("1", ""), "bundle goes backwards"},
		"other content of a revision": {found("2.0", ""), "with other content"},
		"one without an order":        {found("main", ""), "revision has no order"},
		"one that asks the network": {bundleOf(t, `{"revision": "9"}`, map[string]string{
			"disc.rego": fmt.Sprintf("package labels\n\nx := http.send({\"url\": %q, \"method\": \"get\"}).body\n", trap.URL),
		}), "http.send"},
		"one past its time": {discoveryThatEnds(t, "9", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), "it expired at 2020-01-01"},
	} {
		files.put("disc", tt.body)
		f.becomes(name, f.ready, tt.want)
		if got := f.says(image); !strings.Contains(got, "failed policy: p") {
			t.Errorf("%s: got %q, want what served to serve on", name, got)
		}
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("got %d requests of Rego, want none", got)
	}
	// A configuration may depend on what a replica is.
	files.put("disc", bundleOf(t, `{"revision": "3"}`, map[string]string{
		"disc.rego": "package bundles\n\na := {\"service\": \"s\", \"resource\": concat(\"-\", [\"a\", opa.runtime().config.labels.region]), \"polling\": {\"min_delay_seconds\": 1, \"max_delay_seconds\": 1}}\n",
	}))
	f.becomes("one by labels", f.ready, "bundle a: ")
	files.put("a-eu", failing(t, "2", "q", "a.io/**", ""))
	f.becomes("the bundle of the region", f.about(image), "failed policy: q")
	// One that ends while it is in force denies, as a bundle does.
	files.put("disc", discoveryThatEnds(t, "4", time.Now().Add(3*time.Second)))
	f.becomes("the end of discovery", f.about(image), "discovery bundle: it expired at")
}

// TestADiscoveryBundleThatCannotBeKeptIsTheLast: another could be an older one.
func TestADiscoveryBundleThatCannotBeKeptIsTheLast(t *testing.T) {
	t.Parallel()
	found := func(revision, label string) []byte {
		return bundleOf(t, fmt.Sprintf(`{"revision": %q}`, revision), map[string]string{"data.json": fmt.Sprintf(`{"bundles": {}, "labels": {"x": %q}}`, label)})
	}
	files, directory := newBucket(t, map[string][]byte{"disc": found("2", "two")}), t.TempDir()
	f := withBundles(t, fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\n"+
		"discovery: {service: s, resource: disc, polling: {min_delay_seconds: 1, max_delay_seconds: 1}}\n", files.URL, directory),
		func(_ *wiring.Flags, from *bundled.Flags) { from.Minimum = map[string]string{"discovery bundle": "1"} })
	floors := filepath.Join(directory, "assay", "revisions.json")
	kept := func() string {
		text, err := os.ReadFile(floors)
		if err != nil {
			return ""
		}
		return string(text)
	}
	f.becomes("the floor", kept, `"2"`)
	if err := errors.Join(os.Remove(floors), os.Mkdir(floors, 0o700), os.WriteFile(filepath.Join(floors, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	files.put("disc", found("3", "three"))
	f.becomes("one that is not kept", func() string { return get(t, f.url, "/metrics") }, `assay_bundle_info{bundle="discovery bundle",revision="3"} 1`)
	files.put("disc", found("2", "two"))
	f.becomes("an older one", f.ready, "the revision that is in force is not kept")
	if err := os.RemoveAll(floors); err != nil {
		t.Fatal(err)
	}
	f.becomes("the older one, once that is kept", f.ready, "bundle goes backwards")
	f.becomes("the floor", kept, `"3"`)
}

// discoveryThatEnds is one of the bundle a that holds until a time.
func discoveryThatEnds(t testing.TB, revision string, at time.Time) []byte {
	t.Helper()
	files := map[string]string{"data.json": `{"bundles": {"a": {"service": "s", "resource": "a"}}}`}
	set := (&archive.Archive{Files: map[string][]byte{"data.json": []byte(files["data.json"])}}).Set()
	return bundleOf(t, fmt.Sprintf(`{"revision": %q, "metadata": {"assay": {"format": "assay.bundle/1", "set": %q, "requires": {"builtins": []}, "expires": %q, "built_by": "test"}}}`,
		revision, set, at.UTC().Format(time.RFC3339)), files)
}
