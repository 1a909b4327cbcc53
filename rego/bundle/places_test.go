package bundle_test

import (
	"archive/tar"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

// filed are those files and no other.
func filed(files map[string]string) func(*tar.Writer) {
	return func(to *tar.Writer) {
		for _, path := range slices.Sorted(maps.Keys(files)) {
			_ = to.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(files[path])), Typeflag: tar.TypeReg})
			_, _ = io.WriteString(to, files[path])
		}
	}
}

// TestEachFileHasAPlaceWhateverTheManifestSays: OPA takes a manifest at any place, so that one
// without roots at the top, or none, would switch the strict reading off.
func TestEachFileHasAPlaceWhateverTheManifestSays(t *testing.T) {
	t.Parallel()
	const roots = `{"revision": "2", "roots": ["policies/one", "resources"]}`
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a manifest in a directory":      {map[string]string{"foo/.manifest": roots}, "got another manifest"},
		"a manifest of another name":     {map[string]string{"foo.manifest": roots}, "got another manifest"},
		"one more manifest":              {map[string]string{".manifest": `{"revision": "2"}`, "foo/.manifest": roots}, "got another manifest"},
		"WebAssembly":                    {map[string]string{"x/policy.wasm": "\x00asm"}, "got WebAssembly or a plan"},
		"a plan":                         {map[string]string{"plan.json": "{}"}, "got WebAssembly or a plan"},
		"a resource that nobody reads":   {map[string]string{"prod.yaml": "kind: ClusterImagePolicy"}, "got a file that nobody reads"},
		"an object of another file":      {map[string]string{"resources/ClusterImagePolicy/q.json": "{}"}, "got a file that nobody reads"},
		"a patch under another manifest": {map[string]string{"foo/patch.json": `{"data": []}`, "foo/.manifest": roots}, "got a patch in a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, served := newService(t), &side{}
			s.put("/a.tar.gz", tarball(t, "1", []string{"policies/one"}, map[string]string{"/policies/one.rego": policyRego}))
			m := open(t, manually(s.URL, "a"), served, nil)
			if err := m.Trigger(t.Context()); err != nil {
				t.Fatal(err)
			}
			files := maps.Clone(tt.files)
			files["policies/one.rego"] = policyRego
			s.put("/a.tar.gz", packed(t, filed(files)))
			if err := m.Trigger(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal: %s", err, tt.want)
			}
			if got := served.last().Bundles[0].Revision; got != "1" {
				t.Errorf("got revision %s, want the one before", got)
			}
		})
	}
}
