package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// TestABundleChangesNoPolicyOfFiles: whoever writes bundles has no say in what files deny.
func TestABundleChangesNoPolicyOfFiles(t *testing.T) {
	t.Parallel()
	const (
		images = "some container in input.request.object.spec.containers\n\timage := container.image\n\tregistry := split(image, \"/\")[0]\n"
		policy = "package policies.x\n\ndeny contains sprintf(\"%s is not trusted\", [registry]) if {\n\t" + images + "\tnot registry in data.lib.trusted\n}\n"
		banned = "package policies.y\n\ndeny contains sprintf(\"%s is banned\", [registry]) if {\n\t" + images + "\tregistry in data.shared.banned\n}\n"
		shared = "package shared\n\nbanned contains \"c.io\"\n"
		evil   = "evil.io/x" + digest
	)
	dir := t.TempDir()
	for _, name := range []string{"limits", "teams"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFiles(t, dir, map[string]string{
		"x.rego": policy, "y.rego": banned, "lib.rego": "package lib\n\ntrusted contains \"a.io\"\n\ntrusted contains \"c.io\"\n",
		"limits/data.json": `{"most": 1}`,
	})
	files := newBucket(t, map[string][]byte{"main": bundleOf(t, `{"revision": "1", "roots": ["shared"]}`, map[string]string{"shared.rego": shared})})
	f := withBundles(t, manual(t, files.URL, "main"), func(flags *wiring.Flags, _ *bundled.Flags) {
		flags.Policies, flags.NoMatch = []string{dir}, "allow"
	})
	f.fetch()
	serves := func() {
		t.Helper()
		for image, want := range map[string]string{evil: "evil.io is not trusted", "c.io/x" + digest: "c.io is banned", "a.io/x" + digest: ""} {
			if got := f.says(image); !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("%s: got %q, want %q", image, got, want)
			}
		}
	}
	serves()
	for name, tt := range map[string]struct {
		root, path, text, want string
	}{
		"one more member of a set":                 {"lib", "lib.rego", "package lib\n\ntrusted contains \"evil.io\"\n", "lib.rego"},
		"the mode of a policy":                     {"policies/x", "x.rego", "package policies.x\n\nmode := \"warn\"\n", "x.rego"},
		"data in the place of a rule":              {"lib/trusted", "lib/trusted/data.json", `{"evil.io": true}`, "lib.rego"},
		"more of a document":                       {"limits/evil", "limits/evil/data.json", `{"a": 1}`, "data.limits"},
		"nothing of what a policy of a file needs": {"other", "other.rego", "package other\n\nx := 1\n", "policy y"},
	} {
		files.put("main", bundleOf(t, `{"revision": "2", "roots": ["`+tt.root+`"]}`, map[string]string{tt.path: tt.text}))
		if err := f.trigger(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want a refusal with %s", name, err, tt.want)
		}
		serves()
	}
	// A file that comes later has no place that the bundle has.
	writeFiles(t, dir, map[string]string{"shared.rego": "package shared.more\n\nx := 1\n"})
	f.reloader.reload(t.Context())
	if got := get(t, f.url, "/readyz?verbose"); !strings.Contains(got, "shared.rego") {
		t.Errorf("readiness: got %q, want a refusal of the file", got)
	}
	serves()
}
