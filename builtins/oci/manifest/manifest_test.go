package manifest_test

import (
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/manifest"
)

// FuzzManifests: nothing that a registry says breaks its reader.
func FuzzManifests(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"layers":[{"digest":"sha256:00","size":-1,"annotations":{"a":"b"}}]}`), "application/vnd.dev.sigstore.bundle+json")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]}`), "")
	f.Add([]byte(`[]`), "")
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		if m, err := manifest.ParseImage("x", body); err == nil {
			for _, d := range m.Layers {
				if d.Check("x", 100) == nil && (d.Size < 0 || d.Size > 100 || len(d.Digest) != 71) {
					t.Errorf("got descriptor %+v accepted", d)
				}
			}
		}
		_, _ = manifest.ParseIndex("x", body)
		if d, err := manifest.ParseDocument("x", body); err == nil && d.Kind() == manifest.AnImage && d.Config == nil {
			t.Error("got an image manifest without a config file")
		}
		if manifest.IsBundle(text) && !strings.HasPrefix(text, "application/vnd.dev.sigstore.bundle") {
			t.Errorf("got %q taken for a bundle", text)
		}
	})
}
