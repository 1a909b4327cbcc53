package assay_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/rego"
)

// TestMain makes the builtins known that the Rego of the documents calls.
func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

// TestDocsPoliciesInRegoCompile: what docs/write-rego.md shows is a set of policies, with
// its data, and none of them fails.
func TestDocsPoliciesInRegoCompile(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/write-rego.md")
	modules := map[string]string{}
	for i, block := range blocks(text, "rego") {
		modules[fmt.Sprintf("block-%d.rego", i)] = block
	}
	var teams any
	if err := json.Unmarshal([]byte(blocks(text, "json")[0]), &teams); err != nil {
		t.Fatal(err)
	}
	compiled, err := rego.Modules(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.AddRaw(t.Context(), rego.Source{Modules: modules, Data: map[string]any{"teams": teams, "assay": map[string]any{"namespaces": map[string]any{}}}}); err != nil {
		t.Fatal(err)
	}
	if len(modules) < 4 || len(compiled.Warnings) > 0 {
		t.Errorf("got %d modules and warnings %q, want four without", len(modules), compiled.Warnings)
	}
}
