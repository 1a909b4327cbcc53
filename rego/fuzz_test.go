package rego_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// FuzzSet wants of every policy that is read a set that decides, with all that is
// inside it: modules that are printed are Rego of the version that is said, and one
// that does not compile is the failure of its own policy.
func FuzzSet(f *testing.F) {
	for _, inside := range append(manyCauses(), insideRego, insideCUE, "  mode: warn\n", "  match: [{version: v1, resource: pods, selector: {matchLabels: {a: b}}}]\n") {
		f.Add([]byte(static("p", "**", "pass", strings.ReplaceAll(inside, "%d", "1"))))
	}
	for _, module := range []string{
		"package sigstore\n\nimport rego.v1\n\nisCompliant if input.spec", "package sigstore\n\nisCompliant { x }", "package other", "", "}",
		"package sigstore\n\nisCompliant[x] { x := input[_] }", "package sigstore\n\nisCompliant(x) = x", "package sigstore\n\nisCompliant = 1 { true } else = 2",
	} {
		f.Add([]byte(static("p", "**", "pass", fmt.Sprintf("  policy: {type: rego, includeSpec: true, data: %q}\n", module))))
		f.Add([]byte(policy("p", "", strings.Replace(attested, "}]", fmt.Sprintf(", policy: {type: rego, data: %q}}]", module), 1))))
	}
	w := openWorld(f, "images: {}")
	setup := setup{clock: newClock()}
	facts := factsOf(f, w, setup)
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, err := cip.Parse(data)
		if err != nil {
			t.Skip()
		}
		source := rego.Source{
			Policies: documents.Policies, Open: func(about rego.Workload) rego.Answers { return facts.Open(setup.credentials, tenant.Workload(about)) },
		}
		set, err := rego.Compile(t.Context(), source)
		if err != nil {
			if strings.HasSuffix(err.Error(), ": not resolved") {
				t.Skip()
			}
			t.Fatalf("got %v, want what is read to compile", err)
		}
		checkText(t, documents.Policies)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		d, err := rego.NewEngine(set, nil).Decide(ctx, pod(someApp))
		if err != nil {
			t.Fatalf("got %v, want a decision", err)
		}
		if d.Allowed != (len(d.Reasons) == 0) {
			t.Errorf("got %t with reasons %q", d.Allowed, d.Reasons)
		}
	})
}

// checkText parses all that is printed.
func checkText(t *testing.T, policies []cip.Policy) {
	t.Helper()
	text, err := rego.Modules(t.Context(), policies)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]ast.RegoVersion{}
	for _, path := range text.V0 {
		versions[path] = ast.RegoV0
	}
	for path, module := range text.Modules {
		version, ok := versions[path]
		if !ok {
			version = ast.RegoV1
		}
		if _, err := ast.ParseModuleWithOpts(path, module, ast.ParserOptions{RegoVersion: version}); err != nil {
			t.Errorf("%s: got %v in\n%s", path, err, module)
		}
	}
}
