package builtins_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/world"
)

// exampleWorld is what the examples of the builtins ask about.
const exampleWorld = `
registry: ghcr.io
signers:
  release:
    issuer: https://token.actions.githubusercontent.com
    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
    extensions: {githubWorkflowRepository: acme/app}
images:
  app:
    repository: acme/app
    tag: v1
    config: {user: "65532"}
    files: {etc/os-release: ID=debian}
    signatures: [{signer: release}]
    attestations:
      - {signer: release, predicateType: "https://cosign.sigstore.dev/attestation/vuln/v1", predicate: {scanner: {uri: "https://trivy.dev"}}}
      - {signer: release, predicateType: "https://slsa.dev/provenance/v1", predicate: {}, format: bundle}
  many: {repository: acme/many, tag: v1, platforms: [linux/amd64, linux/arm64], config: {user: "65532"}}
  bare: {repository: acme/bare, tag: v1}
`

// exampleModule is the policy that the example of sigstore.is_compliant asks.
const exampleModule = `package cip["scanned"].spec.policy

isCompliant contains {"result": false, "error": "nothing was scanned"} if {
	every attestations in input.authorityMatches { not attestations.scan }
}`

// TestExamples runs what the documentation prints of each builtin.
func TestExamples(t *testing.T) {
	t.Parallel()
	w := worldOf(t, exampleWorld)
	client, err := oci.New(oci.WithTransport(w.Transport()))
	if err != nil {
		t.Fatal(err)
	}
	facts := factsFrom(t, w, client, builtins.Options{Now: func() time.Time { return noon }})
	for _, b := range builtins.All() {
		if len(b.Examples) == 0 {
			t.Errorf("%s: got no example, want one", b.Name)
		}
		for _, example := range b.Examples {
			if !strings.Contains(example.Expression, b.Name+"(") {
				t.Errorf("%s: got example %s, want a call of it", b.Name, example.Expression)
			}
			got := exampleOf(t, w, facts.Open(oci.Credentials{}, tenant.Workload{}), example.Expression)
			var want any
			decoder := json.NewDecoder(strings.NewReader(w.Expand(example.Value)))
			decoder.UseNumber()
			if err := decoder.Decode(&want); err != nil {
				t.Errorf("%s: %s: %v", b.Name, example.Value, err)
			}
			if err := like(want, got); err != nil {
				encoded, _ := json.Marshal(got)
				t.Errorf("%s: %s\nvalue%v\ngot %s", b.Name, example.Expression, err, encoded)
			}
		}
	}
}

// examplePolicy is the policy in plain Rego that the example of assay.policy asks.
const examplePolicy = `package policies.labels

deny contains "the label team is missing" if not input.request.object.metadata.labels.team`

// exampleOf is answer, in an evaluation that has the module of a policy, and a policy in
// plain Rego.
func exampleOf(t *testing.T, w *world.World, s *builtins.Session, expression string) any {
	t.Helper()
	ask := func(ctx context.Context, module string, document ast.Value) (ast.Value, string, string) {
		query := rego.New(rego.Query("x = data.cip.scanned.spec.policy.isCompliant"), rego.Module(module, exampleModule), rego.ParsedInput(document))
		results, err := query.Eval(ctx)
		if err != nil || module != "cip/scanned/spec/policy" {
			return nil, "unsupported", fmt.Sprint(module, err)
		}
		return ast.MustInterfaceToValue(results[0].Bindings["x"]), "", ""
	}
	policy := func(ctx context.Context, name string, review ast.Value) (ast.Value, string, string) {
		query := rego.New(rego.Query(`x = {"deny": data.policies.labels.deny}`), rego.Module("labels.rego", examplePolicy), rego.ParsedInput(review))
		results, err := query.Eval(ctx)
		if err != nil || name != "labels" {
			return nil, "unsupported", fmt.Sprint(name, err)
		}
		return ast.MustInterfaceToValue(results[0].Bindings["x"]), "", ""
	}
	query, err := rego.New(rego.Query("x = "+w.Expand(expression)), rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	for {
		results, err := query.Eval(t.Context(), rego.EvalRequestMetadata(s.Metadata(ask, policy, nil)))
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		if !s.Pending() {
			if len(results) == 0 {
				return nil
			}
			return results[0].Bindings["x"]
		}
		s.Settle(t.Context(), nil)
	}
}

// like compares JSON: where a text has "…" anything may stand, and a text that is
// nothing else is like everything.
func like(want, got any) error {
	switch want := want.(type) {
	case string:
		parts := strings.Split(want, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		text, ok := got.(string)
		if want == "…" || ok && regexp.MustCompile("(?s)^"+strings.Join(parts, ".*")+"$").MatchString(text) {
			return nil
		}
	case map[string]any:
		members, ok := got.(map[string]any)
		if ok && slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(members))) {
			for name := range want {
				if err := like(want[name], members[name]); err != nil {
					return fmt.Errorf(".%s%w", name, err)
				}
			}
			return nil
		}
	case []any:
		list, ok := got.([]any)
		if ok && len(list) == len(want) {
			for i := range want {
				if err := like(want[i], list[i]); err != nil {
					return fmt.Errorf("[%d]%w", i, err)
				}
			}
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return fmt.Errorf(": got %v, want %v", got, want)
}
