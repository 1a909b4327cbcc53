package pure_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
)

// TestConformanceOfDocuments reads real bills of materials and reports in both forms
// in which Rego has them, as a text and as an object: the way through Rego's values
// changes nothing.
func TestConformanceOfDocuments(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real documents to read")
	}
	for file, call := range map[string]string{
		"cosign-bom-go-mod.cyclonedx.json": "sbom.packages", "cosign-bom-go-mod.spdx.json": "sbom.packages", "ratify-syftbom.spdx.json": "sbom.packages",
		"cosign-vuln-predicate.json": "vuln.findings", "ratify-trivy-scan-report.json": "vuln.findings",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(filepath.Join(data, "statements", file))
			if err != nil {
				t.Fatal(err)
			}
			asText := evaluated(t, call+"(input)", ast.String(content))
			asObject := evaluated(t, call+"(json.unmarshal(input))", ast.String(content))
			if diff := cmp.Diff(asText, asObject); diff != "" {
				t.Errorf("as a text and as an object (-text +object):\n%s", diff)
			}
			// The report of cosign's example has no result, which is no clean one.
			if ok := asText.(map[string]any)["ok"]; ok != (file != "cosign-vuln-predicate.json") {
				t.Errorf("got %.300v, want ok %t", asText, ok != true)
			}
			encoded, err := json.Marshal(asText)
			t.Logf("%d bytes of document, %d of answer, error %v", len(content), len(encoded), err)
		})
	}
}
