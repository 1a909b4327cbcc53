package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

func TestABundleDecides(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{})
	f := withBundles(t, manual(t, files.URL, "main"), nil)
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "bundle main is not active yet: try again") {
		t.Errorf("cold start: got %q, want a denial", got)
	}
	if err := f.trigger(); err == nil {
		t.Error("got no error, want that of a bundle which is not there")
	}
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "bundle main is not active yet: try again") {
		t.Errorf("cold start without a good bundle: got %q, want a denial", got)
	}
	files.put("main", failing(t, "1", "first", "a.io/**", ""))
	f.fetch()
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: first") {
		t.Errorf("got %q, want the denial of the first policy", got)
	}
	files.put("main", failing(t, "2", "second", "a.io/**", ""))
	f.fetch()
	if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: second") {
		t.Errorf("got %q, want the denial of the second policy", got)
	}
	ready := get(t, f.url, "/readyz?verbose")
	if !strings.Contains(ready, "[+] bundles: ok\n") {
		t.Errorf("readiness: got %q, want bundles to be ok", ready)
	}
	metrics := get(t, f.url, "/metrics")
	for _, want := range []string{
		`assay_bundle_info{bundle="main",revision="2"} 1`, `assay_bundle_failing{bundle="main"} 0`, `assay_bundle_activations_total{result="activated"} 2`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics: got none of %s", want)
		}
	}
}

// TestBundlesThatCannotServe: what serves is what served before, and whoever asks is told why.
func TestBundlesThatCannotServe(t *testing.T) {
	t.Parallel()
	roots := func(paths ...string) string {
		text, _ := json.Marshal(map[string]any{"revision": "2", "roots": paths})
		return string(text)
	}
	const at = "resources/ClusterImagePolicy/p"
	for name, tt := range map[string]struct {
		body []byte
		want string
	}{
		"a field that no policy has": {bundleOf(t, roots(at), map[string]string{at + "/data.json": denying("b.io/**", `, "colour": "red"`)}), "colour"},
		"no resource of ours":        {bundleOf(t, roots("resources/Pod/p"), map[string]string{"resources/Pod/p/data.json": `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}`}), "Pod"},
		"a Secret": {bundleOf(t, roots("resources/Secret/s"), map[string]string{
			"resources/Secret/s/data.json": `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "cosign-system"}, "data": {"cosign.pub": "YQ=="}}`,
		}), "resources.Secret"},
		"a policy that a file has": {bundleOf(t, roots("resources/ClusterImagePolicy/file"), map[string]string{
			"resources/ClusterImagePolicy/file/data.json": strings.Replace(denying("b.io/**", ""), `"name": "p"`, `"name": "file"`, 1),
		}), "ClusterImagePolicy file is in"},
		"Rego that does not compile": {bundleOf(t, roots("policies/x"), map[string]string{
			"policies/x.rego": "package policies.x\n\ndeny contains nowhere if true\n",
		}), "nowhere"},
		"Rego that does not go with a library of files": {bundleOf(t, roots("policies/x", "lib/names"), map[string]string{
			"policies/x.rego": "package policies.x\n\ndeny contains \"x\" if data.lib.names.same == 2\n", "lib/names.rego": "package lib.names\n\nsame := 1\n",
		}), "lib/names.rego"},
		"Rego that calls what nobody allowed": {bundleOf(t, roots("policies/x"), map[string]string{
			"policies/x.rego": "package policies.x\n\ndeny contains \"x\" if http.send({\"url\": \"http://a\", \"method\": \"get\"}).status_code == 200\n",
		}), "http.send"},
		"Rego inside a policy that does not compile": {bundleOf(t, roots(at), map[string]string{
			at + "/data.json": denying("b.io/**", `, "policy": {"type": "rego", "data": "package sigstore\nisCompliant {"}`),
		}), "spec.policy"},
		"CUE that cannot be read": {bundleOf(t, roots(at), map[string]string{
			at + "/data.json": denying("b.io/**", `, "policy": {"type": "cue", "data": "a: {"}`),
		}), "spec.policy"},
		"data that a file has": {bundleOf(t, roots("limits"), map[string]string{"limits/data.json": `{"most": 2}`}), "limits"},
		"a time that is over":  {expiring(t, "2", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), "2020-01-01"},
		"another bundle":       {saying(t, "p", "2", archive.About{Format: archive.Format, Name: "candidate"}), `got "candidate", want "main"`},
		"an older revision":    {failing(t, "0.9", "p", "b.io/**", ""), "0.9"},
		"no revision":          {failing(t, "", "p", "b.io/**", ""), "revision"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newBucket(t, map[string][]byte{"main": failing(t, "1", "p", "a.io/**", "")})
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "limits"), 0o700); err != nil {
				t.Fatal(err)
			}
			writeFiles(t, dir, map[string]string{
				"lib.rego":         "package lib.names\n\nsame(x) := x\n",
				"file.yaml":        strings.Replace(denying("c.io/**", ""), `"name": "p"`, `"name": "file"`, 1),
				"limits/data.json": `{"most": 1}`,
			})
			f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, from *bundled.Flags) {
				flags.Policies, from.Minimum = []string{dir}, map[string]string{"main": "0.1"}
			})
			f.fetch()
			before := f.reloader.engine.Set()
			files.put("main", tt.body)
			if err := f.trigger(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if f.reloader.engine.Set() != before {
				t.Error("got another set, want what served")
			}
			if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: p") {
				t.Errorf("got %q, want the denial of what served", got)
			}
			if ready := get(t, f.url, "/readyz?verbose"); !strings.Contains(ready, "[+] bundles: ok, but bundle main: ") || !strings.Contains(ready, tt.want) {
				t.Errorf("readiness: got %q, want the cause", ready)
			}
			if got := get(t, f.url, "/metrics"); !strings.Contains(got, `assay_bundle_failing{bundle="main"} 1`) {
				t.Error("metrics: got no failing bundle")
			}
			// A file that changes is compiled with what the bundle still has.
			writeFiles(t, dir, map[string]string{"file.yaml": strings.Replace(denying("d.io/**", ""), `"name": "p"`, `"name": "file"`, 1)})
			f.reloader.reload(t.Context())
			if got := f.says("d.io/x" + digest); !strings.Contains(got, "failed policy: file") {
				t.Errorf("file: got %q, want its denial", got)
			}
			if got := f.says("a.io/x" + digest); !strings.Contains(got, "failed policy: p") {
				t.Errorf("bundle: got %q, want the denial of what served", got)
			}
		})
	}
}

// TestABundlePastItsTimeDenies: its author said until when it may be relied on.
func TestABundlePastItsTimeDenies(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{"main": expiring(t, "1", time.Now().Add(time.Hour))})
	f := withBundles(t, manual(t, files.URL, "main"), nil)
	f.fetch()
	if got := f.reloader.bundles.Denies(time.Now()); got != "" {
		t.Errorf("before: got %q, want no denial", got)
	}
	if got := f.reloader.bundles.Denies(time.Now().Add(2 * time.Hour)); !strings.Contains(got, "bundle main") || !strings.Contains(got, "expire") {
		t.Errorf("after: got %q, want that bundle main expired", got)
	}
	if got := get(t, f.url, "/metrics"); !strings.Contains(got, `assay_bundle_expiry_timestamp_seconds{bundle="main"}`) {
		t.Error("metrics: got no expiry")
	}
}

func TestRevisionsGoNoWayBackAfterARestart(t *testing.T) {
	t.Parallel()
	files := newBucket(t, map[string][]byte{"main": failing(t, "2", "p", "a.io/**", "")})
	config := strings.ReplaceAll(manual(t, files.URL, "main"), ", persist: true", "")
	floor := func(_ *wiring.Flags, from *bundled.Flags) { from.Minimum = map[string]string{"main": "1"} }
	first := withBundles(t, config, floor)
	first.fetch()
	first.stop()
	files.put("main", failing(t, "1.5", "p", "a.io/**", ""))
	again := withBundles(t, config, floor)
	if err := again.trigger(); err == nil || !strings.Contains(err.Error(), "1.5") {
		t.Errorf("got %v, want a refusal of 1.5", err)
	}
	if got := again.says("a.io/x" + digest); !strings.Contains(got, "not active yet") {
		t.Errorf("got %q, want a denial", got)
	}
}

// TestBundlesHaveTheirOwnTestsPass: in a process that has nothing of this one's environment.
func TestBundlesHaveTheirOwnTestsPass(t *testing.T) {
	t.Setenv("SECRET", "of the webhook")
	packed := func(revision, wants string) []byte {
		return bundleOf(t, `{"revision": "`+revision+`", "roots": ["policies/x", "policies/x_test", "names"]}`, map[string]string{
			"policies/x.rego":      "package policies.x\n\ndeny contains \"no\" if input.name in data.names.all\n",
			"policies/x_test.rego": "package policies.x_test\n\nimport data.policies.x\n\ntest_names if " + wants + "\n",
			"names/data.json":      `{"all": ["a"]}`,
		})
	}
	files := newBucket(t, map[string][]byte{"main": packed("1", `count(x.deny) == 1 with input as {"name": "a"}`)})
	f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, from *bundled.Flags) {
		allow(t, flags, "--allow-builtin", "opa.runtime") // else it is refused before
		from.Tests = true
	})
	f.fetch()
	for name, wants := range map[string]string{
		"a test that fails":             `count(x.deny) == 2 with input as {"name": "a"}`,
		"a test that reads our secrets": `opa.runtime().env.SECRET`,
	} {
		files.put("main", packed("2", wants))
		if err := f.trigger(); err == nil || !strings.Contains(err.Error(), "tests of the bundles") || !strings.Contains(err.Error(), "test_names") {
			t.Errorf("%s: got %v, want a refusal with the test", name, err)
		}
	}
	if got := f.reloader.bundles.Denies(time.Now()); got != "" {
		t.Errorf("got %q, want what served to serve", got)
	}
}

// TestARevisionThatCannotBeKeptIsRefused: after a restart an older one would be taken.
func TestARevisionThatCannotBeKeptIsRefused(t *testing.T) {
	t.Parallel()
	files, kept := newBucket(t, map[string][]byte{"main": failing(t, "1", "p", "a.io/**", "")}), t.TempDir()
	config := fmt.Sprintf("services: {s: {url: %q}}\npersistence_directory: %q\nbundles: {main: {service: s, resource: main, trigger: manual}}\n", files.URL, kept)
	f := withBundles(t, config, func(flags *wiring.Flags, from *bundled.Flags) {
		flags.NoMatch, from.Minimum = "allow", map[string]string{"main": "1"}
	})
	directory := filepath.Join(kept, "assay")
	if err := errors.Join(os.RemoveAll(directory), os.WriteFile(directory, nil, 0o600)); err != nil { // where a directory has to be
		t.Fatal(err)
	}
	if err := f.trigger(); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got %v, want a refusal", err)
	}
	if got := f.says("b.io/x" + digest); !strings.Contains(got, "bundle main is not active yet") {
		t.Errorf("got %q, want a denial", got)
	}
}
