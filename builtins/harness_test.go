package builtins_test

import (
	"os"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/worldtest"
)

func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

const description = `
signers:
  release:
    issuer: https://token.actions.githubusercontent.com
    subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
    extensions: {githubWorkflowTrigger: push}
  deploy: {key: ecdsa-p256}
images:
  app:
    signatures:
      - {signer: release}
      - {signer: release, format: bundle, log: rekor2, timestamp: true}
    attestations:
      - {signer: release, predicateType: https://slsa.dev/provenance/v1, predicate: {buildType: make, jobs: 2}}
      - {signer: release, predicateType: https://slsa.dev/provenance/v1, predicate: [], format: bundle}
  by-key:
    signatures:
      - {signer: deploy, log: none}
  bare: {}
`

const (
	someRef   = "registry.example/app@sha256:7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7"
	authority = `{"name": "release", "signatureFormat": "any", "keyless": {"identities": [{
		"issuer": "https://token.actions.githubusercontent.com",
		"subjectRegExp": "https://github.com/acme/app/.*",
	}]}}`
)

func openWorld(t testing.TB) *world.World {
	t.Helper()
	return worldOf(t, description)
}

func worldOf(t testing.TB, yaml string) *world.World {
	t.Helper()
	return worldtest.Open(t, yaml)
}

// factsOf are facts about the world's registry.
func factsOf(t testing.TB, w *world.World) *builtins.Facts {
	t.Helper()
	return factsFrom(t, w, worldtest.Client(t), builtins.Options{Now: worldtest.Now})
}

// factsFrom are facts that a client gets, judged by the world's root.
func factsFrom(t testing.TB, w *world.World, client *oci.Client, options builtins.Options) *builtins.Facts {
	t.Helper()
	return worldtest.Facts(t, w, client, options)
}

// answer evaluates one expression until nothing is asked that has no answer.
func answer(t testing.TB, s *builtins.Session, expression string) any {
	t.Helper()
	for {
		value := evaluateOnce(t, s, expression)
		if s == nil || !s.Pending() {
			if value == nil {
				t.Fatalf("%s is undefined: a builtin is a total function", expression)
			}
			return value
		}
		s.Settle(t.Context(), nil)
	}
}

// evaluateOnce is the value of an expression, nil when it is undefined.
func evaluateOnce(t testing.TB, s *builtins.Session, expression string) any {
	t.Helper()
	query, err := rego.New(rego.Query("x = "+expression), rego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	var options []rego.EvalOption
	if s != nil {
		options = append(options, rego.EvalRequestMetadata(s.Metadata(nil, nil, nil)))
	}
	results, err := query.Eval(t.Context(), options...)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	if len(results) == 0 {
		return nil
	}
	return results[0].Bindings["x"]
}

// problem is the code and the message of an answer, which is not to be ok.
func problem(t testing.TB, answer any) (code, message string) {
	t.Helper()
	object, _ := answer.(map[string]any)
	wrong, _ := object["error"].(map[string]any)
	if object["ok"] != false || wrong == nil {
		t.Fatalf("got %v, want ok false and an error", answer)
	}
	code, _ = wrong["code"].(string)
	message, _ = wrong["message"].(string)
	return code, message
}

func declaration(t testing.TB, name string) *ast.Builtin {
	t.Helper()
	for _, b := range builtins.Declarations() {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no builtin %s", name)
	return nil
}
