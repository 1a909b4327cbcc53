package sbom_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/predicate/sbom"
)

// TestConformanceDocuments reads real bills of materials, and counts in the bytes
// what it wants to find in the values.
func TestConformanceDocuments(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real documents to read")
	}
	for _, tt := range []struct{ file, format, version string }{
		{"cosign-bom-go-mod.cyclonedx.json", "cyclonedx", "1.4"},
		{"cosign-bom-go-mod.spdx.json", "spdx", "2.2"},
		{"ratify-syftbom.spdx.json", "spdx", "2.3"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(data, "statements", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := sbom.Packages(text)
			if err != nil {
				t.Fatal(err)
			}
			if got.Format != tt.format || got.Version != tt.version {
				t.Errorf("got %s %s, want %s %s", got.Format, got.Version, tt.format, tt.version)
			}
			purls := 0
			for _, p := range got.Packages {
				purls += len(p.PURLs)
			}
			if want := strings.Count(string(text), `"referenceType": "purl"`); purls != want {
				t.Errorf("got %d package URLs, want %d", purls, want)
			}
			if want := strings.Count(string(text), `"versionInfo"`); len(got.Packages) < want || want > 0 && got.Packages[0].Name != "alpine-baselayout" {
				t.Errorf("got %d packages, want at least %d, alpine-baselayout the first", len(got.Packages), want)
			}
		})
	}
}
