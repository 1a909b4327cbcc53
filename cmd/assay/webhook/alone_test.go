package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// TestADirectoryIsOfOneProcess, where anything is kept in it: the second would undo what the first
// keeps. One that keeps nothing needs none.
func TestADirectoryIsOfOneProcess(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{"main": failing(t, "1", "p", "a.io/**", "")})
	kept := t.TempDir()
	config := func(more string) string {
		return fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\nbundles: {main: {service: s, resource: main, trigger: manual%s}}\n", files.URL, kept, more)
	}
	none := withBundles(t, config(""), nil)
	if _, err := os.Stat(filepath.Join(kept, "assay")); !os.IsNotExist(err) {
		t.Errorf("nothing is kept: got %v, want no directory", err)
	}
	none.stop()
	first := withBundles(t, config(", persist: true"), nil)
	for name, tt := range map[string]struct {
		config string
		from   bundled.Flags
	}{
		"that persists":            {config(", persist: true"), bundled.Flags{}},
		"that remembers revisions": {config(""), bundled.Flags{Minimum: map[string]string{"main": "1"}}},
		"that runs tests":          {config(""), bundled.Flags{Tests: true}},
	} {
		tt.from.Config = filepath.Join(t.TempDir(), "opa.yaml")
		if err := os.WriteFile(tt.from.Config, []byte(tt.config), 0o600); err != nil {
			t.Fatal(err)
		}
		err := opened(t, wiring.Defaults(), tt.from)
		if err == nil || !strings.Contains(err.Error(), "persistence_directory of --config-file: got "+kept) || !strings.Contains(err.Error(), "another process has it") {
			t.Errorf("%s: got %v, want a refusal that names the directory and the field", name, err)
		}
	}
	first.stop()
	again := withBundles(t, config(", persist: true"), nil)
	again.fetch()
}

// TestABundleIsKeptBeforeItsRevisionIs: a process that ends between the two is to find, without
// network, what is not below its floor. OPA saves later, and says nothing where that fails.
func TestABundleIsKeptBeforeItsRevisionIs(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{"main": failing(t, "1", "first", "a.io/**", "")})
	kept := t.TempDir()
	config := fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\nbundles: {main: {service: s, resource: main, trigger: manual, persist: true}}\n", files.URL, kept)
	floor := func(_ *wiring.Flags, from *bundled.Flags) { from.Minimum = map[string]string{"main": "1"} }
	f := withBundles(t, config, floor)
	f.fetch()
	place, aside := filepath.Join(kept, "bundles"), filepath.Join(kept, "aside")
	if err := errors.Join(os.Rename(place, aside), os.WriteFile(place, nil, 0o600)); err != nil { // where a directory has to be
		t.Fatal(err)
	}
	files.put("main", failing(t, "2", "second", "a.io/**", ""))
	if err := f.trigger(); err == nil || !strings.Contains(err.Error(), "bundle main is not kept") {
		t.Errorf("got %v, want a refusal", err)
	}
	if floors, err := os.ReadFile(filepath.Join(kept, "assay", "revisions.json")); err != nil || !strings.Contains(string(floors), `"revision": "1"`) {
		t.Errorf("got %s, %v, want the floor at revision 1", floors, err)
	}
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: first") {
		t.Errorf("got %q, want the first to serve on", got)
	}
	if got := get(t, f.url, "/readyz?verbose"); !strings.Contains(got, "[+] bundles: ok, but bundle main: ") || !strings.Contains(got, "not kept") {
		t.Errorf("readiness: got %q, want the cause", got)
	}
	if err := errors.Join(os.Remove(place), os.Rename(aside, place)); err != nil {
		t.Fatal(err)
	}
	f.fetch()
	f.stop()
	files.Config.Handler = http.NotFoundHandler()
	again := withBundles(t, config, floor)
	if got := again.says("a.io/x" + digest); !strings.Contains(got, "failed policy: second") {
		t.Errorf("got %q, want the second to serve", got)
	}
}

// TestWhoeverAsksIsToldWhyABundleDoesNotCome, whichever way it should.
func TestWhoeverAsksIsToldWhyABundleDoesNotCome(t *testing.T) {
	t.Parallel()
	down := newBucket(t, nil)
	down.Close()
	linked := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(linked, "data.json")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ service, resource, want string }{
		"a server that is down":    {"{url: '" + down.URL + "'}", "main.tar.gz", "connection refused"},
		"a registry that is down":  {"{url: '" + down.URL + "', type: oci}", "r/p:prod", "connection refused"},
		"a file that is not there": {"{url: '" + down.URL + "'}", "file:///nowhere/main.tar.gz", "no such file"},
		"a directory with a link":  {"{url: '" + down.URL + "'}", "file://" + linked, "got a link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := withBundles(t, fmt.Sprintf("services: {s: %s}\nbundles: {main: {service: s, resource: %q, trigger: manual}}\n", tt.service, tt.resource), nil)
			_ = f.trigger() // what becomes of it is told
			ready, metrics := get(t, f.url, "/readyz?verbose"), get(t, f.url, "/metrics")
			if !strings.Contains(ready, "[-] bundles: ") || !strings.Contains(ready, "bundle main: ") || !strings.Contains(ready, tt.want) || strings.Contains(ready, "assay.invalid") {
				t.Errorf("readiness: got %q, want %q of bundle main", ready, tt.want)
			}
			for _, want := range []string{`assay_bundle_failing{bundle="main"} 1`, `assay_bundle_confirmed_timestamp_seconds{bundle="main"} 0`} {
				if !strings.Contains(metrics, want) {
					t.Errorf("metrics: got none of %s", want)
				}
			}
			if got := f.says("a.io/x" + digest); !strings.Contains(got, "bundle main is not active yet") {
				t.Errorf("got %q, want a denial", got)
			}
		})
	}
}

// TestWhoeverAsksIsToldWhyWhatWasKeptIsNotUsed: the source is down, too, and that is no reason.
func TestWhoeverAsksIsToldWhyWhatWasKeptIsNotUsed(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{"main": failing(t, "1", "first", "a.io/**", "")})
	config := manual(t, files.URL, "main")
	f := withBundles(t, config, nil)
	f.fetch()
	f.stop()
	files.Config.Handler = http.NotFoundHandler()
	again := withBundles(t, config, func(_ *wiring.Flags, from *bundled.Flags) { from.Minimum = map[string]string{"main": "2"} })
	_ = again.trigger() // there is none
	got := get(t, again.url, "/readyz?verbose")
	for _, want := range []string{"[-] bundles: bundle main is not active yet", "what was kept is not used: ", `the minimum "2"`, "Not Found"} {
		if !strings.Contains(got, want) {
			t.Errorf("readiness: got %q, want %q in it", got, want)
		}
	}
}
