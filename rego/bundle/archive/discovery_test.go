package archive_test

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

func TestReadDiscovery(t *testing.T) {
	t.Parallel()
	got, err := archive.ReadDiscovery(zipped(t, tarred(t,
		plain(".manifest", `{"revision": "7", "roots": [""], "metadata": {"owner": "us"}}`),
		plain("found.rego", "package found\n\nlabels := opa.runtime().config.labels\n"),
		plain("data.json", `{"bundles": {}}`),
	)), archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Set) != 64 {
		t.Errorf("got set %q, want a digest", got.Set)
	}
	want := &archive.Discovery{
		Revision: "7", Set: got.Set,
		Modules: map[string]string{"found.rego": "package found\n\nlabels := opa.runtime().config.labels\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if other, err := archive.ReadDiscovery(made(t, plain("data.json", `{"bundles": {"a": {}}}`)), archive.Limits{}); err != nil || other.Set == got.Set {
		t.Errorf("without a manifest: got %+v and %v, want another set", other, err)
	}
}

func TestReadDiscoveryRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files []file
		want  string
	}{
		{"a delta", []file{plain("patch.json", `{"data": []}`)}, "got a delta"},
		{"a manifest at another place", []file{plain("x/.manifest", `{}`)}, "got another manifest"},
		{"a manifest that is none", []file{plain(".manifest", `[]`)}, ".manifest"},
		{"a revision that no log bears", []file{plain(".manifest", `{"revision": "1\u0000"}`)}, "revision"},
		{"metadata of another set", []file{plain(".manifest", `{"metadata": {"assay": {"format": "assay.bundle/1", "set": "`+strings.Repeat("a", 64)+`"}}}`)}, "metadata.assay.set"},
		{"WebAssembly", []file{plain("policy.wasm", "x")}, "got WebAssembly"},
		{"a path that leads out", []file{plain("../data.json", `{}`)}, "leads out"},
		{"a link", []file{special("data.json", tar.TypeSymlink, "/etc/passwd")}, "want a regular file"},
		{"a file that nobody reads", []file{plain("README", "x")}, "that nobody reads"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := archive.ReadDiscovery(zipped(t, tarred(t, tt.files...)), archive.Limits{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := archive.ReadDiscovery(made(t, plain("data.json", `{}`)), archive.Limits{Compressed: 10}); err == nil || !strings.Contains(err.Error(), "want at most 10") {
		t.Errorf("too large: got %v, want the bound", err)
	}
}
