package sbom_test

import (
	"errors"
	"testing"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/sbom"
)

// Whatever comes in, what goes out is complete or an error with a code.
func FuzzPackages(f *testing.F) {
	for _, seed := range []string{
		spdx23, cyclonedx16, spdx30, `{"spdxVersion":"SPDX-2.2","packages":[null]}`, `{"Data":"{}"}`, `"SPDXVersion:"`,
		`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"name":"a","licenses":[null]}],"dependencies":[null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		document, err := sbom.Packages(data)
		var refusal *bounded.Error
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatalf("got %T, want a *bounded.Error", err)
			}
			return
		}
		for _, p := range document.Packages {
			if p.ID == "" || p.Name == "" || p.PURLs == nil || p.CPEs == nil || p.Licenses == nil || p.Hashes == nil || p.Relation == "" {
				t.Fatalf("got %+v, want every field there", p)
			}
		}
	})
}
