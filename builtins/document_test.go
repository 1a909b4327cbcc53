package builtins_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestDocumentsOfAttestations holds ATT-5: by a short name policies see the fields
// that cosign's types have, by a URI whatever was signed.
func TestDocumentsOfAttestations(t *testing.T) {
	t.Parallel()
	const vuln = "https://cosign.sigstore.dev/attestation/vuln/v1"
	w := worldOf(t, `
signers:
  release:
    issuer: https://token.actions.githubusercontent.com
    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
images:
  scanned:
    attestations:
      - {signer: release, predicateType: "`+vuln+`", predicate: {scanner: {uri: trivy, result: {high: 1}}, extra: 1}}
  odd:
    attestations:
      - {signer: release, predicateType: "`+vuln+`", predicate: {scanner: none}}
`)
	signed := map[string]any{"scanner": map[string]any{"uri": "trivy", "result": map[string]any{"high": json.Number("1")}}, "extra": json.Number("1")}
	for _, tt := range []struct {
		name, image, asked string
		document           any // its predicate, nil when the statement is the document
		problem            string
	}{
		{name: "ATT-5: by its URI the statement is the document", image: "scanned", asked: vuln},
		{
			name: "ATT-5: by its short name the predicate has cosign's fields", image: "scanned", asked: "vuln",
			document: map[string]any{
				"invocation": map[string]any{"parameters": nil, "uri": "", "event_id": "", "builder.id": ""},
				"scanner": map[string]any{
					"uri": "trivy", "version": "", "db": map[string]any{"uri": "", "version": ""},
					"result": map[string]any{"high": json.Number("1")},
				},
				"metadata": map[string]any{"scanStartedOn": "0001-01-01T00:00:00Z", "scanFinishedOn": "0001-01-01T00:00:00Z"},
			},
		},
		{
			name: "ATT-5: a predicate of another shape is verified, and no document", image: "odd", asked: "vuln",
			problem: "unmarshaling CosignVulnStatement: json: cannot unmarshal string into Go struct field CosignVulnPredicate.predicate.scanner of type attestation.Scanner",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{})
			got, _ := answer(t, s, w.Expand(`cosign.attestations("${`+tt.image+`@}", `+authority+`, "`+tt.asked+`")`)).(map[string]any)
			list, _ := got["attestations"].([]any)
			if got["ok"] != true || len(list) != 1 {
				t.Fatalf("got %v, want one attestation", got)
			}
			one, _ := list[0].(map[string]any)
			statement, _ := one["statement"].(map[string]any)
			if diff := cmp.Diff(signed, statement["predicate"]); tt.image == "scanned" && diff != "" {
				t.Errorf("statement (-signed +got):\n%s", diff)
			}
			document, _ := one["document"].(map[string]any)
			var predicate any
			if document != nil {
				predicate = document["predicate"]
			}
			if diff := cmp.Diff(tt.document, predicate); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
			if problem, _ := one["document_error"].(string); problem != tt.problem {
				t.Errorf("document_error: got %q, want %q", problem, tt.problem)
			}
		})
	}
}
