package rego_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// judging are two policies with Rego inside: one that v1 can say, and one that it
// cannot, as a rule of the name if is none there.
const judging = `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: modern.example}
spec:
  images: [{glob: "**"}]
  authorities: [{static: {action: pass}}]
  policy: {type: rego, data: "package sigstore\nisCompliant { input.authorityMatches }"}
---
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: old}
spec:
  images: [{glob: "**"}]
  authorities: [{static: {action: pass}}]
  policy: {type: rego, data: "package sigstore\nif { input.authorityMatches }\nisCompliant { if }"}
---
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: broken}
spec:
  images: [{glob: "**"}]
  authorities: [{static: {action: pass}}]
  policy: {type: rego, data: "package sigstore\nisCompliant { nothing }"}
`

func textOf(t *testing.T, documents string) *rego.Text {
	t.Helper()
	parsed, err := cip.Parse([]byte(documents))
	if err != nil {
		t.Fatal(err)
	}
	text, err := rego.Modules(t.Context(), parsed.Policies)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestModulesInsidePoliciesArePrintedBesideThem, in v1 where that can say them; one
// that does not compile is a warning, and its policy fails.
func TestModulesInsidePoliciesArePrintedBesideThem(t *testing.T) {
	t.Parallel()
	text := textOf(t, judging)
	modern, old := text.Modules["cip/modern.example/spec/policy.rego"], text.Modules["cip/old/spec/policy.rego"]
	if want := `package cip["modern.example"].spec.policy`; !strings.Contains(modern, want) || !strings.Contains(modern, "isCompliant if") {
		t.Errorf("got\n%s\nwant %s in Rego v1", modern, want)
	}
	if want := "package cip.old.spec.policy"; !strings.Contains(old, want) {
		t.Errorf("got\n%s\nwant %s", old, want)
	}
	if diff := cmp.Diff([]string{"cip/old/spec/policy.rego"}, text.V0); diff != "" {
		t.Errorf("in Rego v0 (-want +got):\n%s", diff)
	}
	if _, ok := text.Modules["cip/broken/spec/policy.rego"]; ok {
		t.Error("got a module that does not compile")
	}
	if len(text.Warnings) != 1 || !strings.HasPrefix(text.Warnings[0], "policy broken: spec.policy fails whatever it judges: ") {
		t.Errorf("warnings: got %q, want one of broken", text.Warnings)
	}
	if !strings.Contains(text.Modules["cip/broken.rego"], "policies.unresolved(") {
		t.Errorf("got\n%s\nwant a policy that fails", text.Modules["cip/broken.rego"])
	}
}

// TestModulesAreABundle: OPA's own loader reads them with their versions, and all
// of them compile together.
func TestModulesAreABundle(t *testing.T) {
	t.Parallel()
	text, dir := textOf(t, judging), t.TempDir()
	files := map[string][]byte{".manifest": text.Manifest()}
	for path, module := range text.Modules {
		files[path] = []byte(module)
	}
	for path, content := range files {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bundle, err := loader.NewFileLoader().AsBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]*ast.Module{}
	for _, file := range bundle.Modules {
		modules[file.Path] = file.Parsed
	}
	if got, want := len(modules), len(text.Modules); got != want {
		t.Errorf("got %d modules in the bundle, want %d", got, want)
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		t.Error(compiler.Errors)
	}
	var v0 []string
	for path, module := range modules {
		if module.RegoVersionSpan() == ast.RegoVersionSpanOf(ast.RegoV0) {
			v0 = append(v0, path)
		}
	}
	if len(v0) != 1 || !slices.ContainsFunc(v0, func(path string) bool { return strings.HasSuffix(path, "cip/old/spec/policy.rego") }) {
		t.Errorf("in Rego v0: got %v, want the one that v1 cannot say", v0)
	}
}
