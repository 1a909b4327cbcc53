package webhook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
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
	f.becomes("another that is not there", f.ready, "[+] bundles: ok, but everything is denied: bundle b is not active yet")
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
