package inline_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/inline"
)

// TestConformanceInlineRego compiles the Rego of all real policies and prints how
// much of it is printed in which version.
func TestConformanceInlineRego(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the directory of the real policies")
	}
	var versions [2]int
	for _, folder := range []string{"valid", "catalog", "measured"} {
		err := filepath.WalkDir(filepath.Join(data, "policies", folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			docs, err := cip.Parse(text)
			if err != nil {
				return nil // of another kind
			}
			for i, source := range inlineRego(docs.Policies) {
				t.Run(folder+"/"+entry.Name()+"/"+strconv.Itoa(i), func(t *testing.T) {
					module, err := inline.Compile(t.Context(), []string{"cip", "real", "policy"}, source)
					if err != nil {
						t.Fatal(err)
					}
					versions[module.Version()]++
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("inline Rego of real policies: %d printed as v1, %d as v0", versions[1], versions[0])
	if versions[0]+versions[1] == 0 {
		t.Error("got no inline Rego, want some: " + strconv.Quote(data))
	}
}

// inlineRego are the sources of type rego in the policies.
func inlineRego(policies []cip.Policy) []string {
	var refs []*cip.PolicyRef
	for _, p := range policies {
		refs = append(refs, p.Spec.Policy)
		for _, authority := range p.Spec.Authorities {
			for _, attestation := range authority.Attestations {
				refs = append(refs, attestation.Policy)
			}
		}
	}
	var out []string
	for _, ref := range refs {
		if ref != nil && ref.Type == "rego" && ref.Data != "" {
			out = append(out, ref.Data)
		}
	}
	return out
}
