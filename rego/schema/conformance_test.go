package schema_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
)

// TestConformanceSchemas holds real predicates against the schemas: what is really
// there may not be a misspelt field.
func TestConformanceSchemas(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: no real predicates to hold against the schemas")
	}
	documents := map[string][][]byte{}
	for file, kind := range map[string]string{
		"cosign-bom-go-mod.cyclonedx.json": "cyclonedx", "cosign-bom-go-mod.spdx.json": "spdx_v23",
		"ratify-syftbom.spdx.json": "spdx_v23", "cosign-vuln-predicate.json": "vuln",
	} {
		text, err := os.ReadFile(filepath.Join(data, "statements", file))
		if err != nil {
			t.Fatal(err)
		}
		documents["assay/predicate/"+kind+".json"] = append(documents["assay/predicate/"+kind+".json"], text)
	}
	for _, statement := range statements(t, filepath.Join(data, "images")) {
		for mark, kind := range map[string]string{
			`"https://slsa.dev/provenance/v0.2"`: "slsa_v02", `"https://slsa.dev/provenance/v1"`: "slsa_v1",
			`attestation/vuln/v1"`: "vuln", `"https://spdx.dev/Document"`: "spdx_v23", `"https://cyclonedx.org/bom"`: "cyclonedx",
		} {
			if strings.Contains(string(statement), mark) {
				documents["assay/statement/"+kind+".json"] = append(documents["assay/statement/"+kind+".json"], statement)
			}
		}
	}
	files := mustFiles(t)
	query, err := rego.New(rego.Query(`json.match_schema(input.document, input.schema)`)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for kind, list := range documents {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for _, document := range list {
				// Closed, as the type checker takes them.
				results, err := query.Eval(t.Context(), rego.EvalInput(map[string]any{"document": string(document), "schema": closed(t, files[kind])}))
				if err != nil {
					t.Fatal(err)
				}
				answer, ok := results[0].Expressions[0].Value.([]any)
				if !ok || answer[0] != true {
					t.Errorf("got %v, want a match", answer[1])
				}
			}
			t.Logf("%d documents", len(list))
		})
	}
	if len(documents) != 8 {
		t.Errorf("got documents for %d schemas, want 8", len(documents))
	}
}

// closed is a schema whose objects have no properties but those that it lists.
func closed(t *testing.T, text []byte) string {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			if _, ok := value["properties"].(map[string]any); ok && value["type"] == "object" {
				value["additionalProperties"] = false
			}
			for _, inner := range value {
				walk(inner)
			}
		case []any:
			for _, inner := range value {
				walk(inner)
			}
		}
	}
	walk(tree)
	out, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// statements are the payloads of all DSSE envelopes below a folder of layouts.
func statements(t *testing.T, root string) [][]byte {
	t.Helper()
	var out [][]byte
	for _, pattern := range []string{"*", "generated/*", "referrers/*"} {
		blobs, err := filepath.Glob(filepath.Join(root, pattern, "blobs", "sha256", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range blobs {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var envelope struct {
				Payload string `json:"payload"`
				Inner   struct {
					Payload string `json:"payload"`
				} `json:"dsseEnvelope"`
			}
			if json.Unmarshal(text, &envelope) != nil {
				continue // a layer
			}
			payload, err := base64.StdEncoding.DecodeString(envelope.Payload + envelope.Inner.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if len(payload) > 0 {
				out = append(out, payload)
			}
		}
	}
	return out
}
