package pure_test

import (
	"os"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/pure"
)

func TestMain(m *testing.M) {
	for _, b := range pure.Builtins() {
		ast.RegisterBuiltin(b.Declaration())
		topdown.RegisterBuiltinFunc(b.Name, b.Function())
	}
	os.Exit(m.Run())
}

// evaluated is the value of an expression; input is what it may name.
func evaluated(t testing.TB, expression string, input ast.Value) any {
	t.Helper()
	results, err := rego.New(rego.Query("x = "+expression), rego.ParsedInput(input), rego.StrictBuiltinErrors(true)).Eval(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	if len(results) == 0 {
		t.Fatalf("%s is undefined: a builtin is a total function", expression)
	}
	return results[0].Bindings["x"]
}

// refused is the code and the message of an answer that is not ok.
func refused(t testing.TB, got any) (code, message string) {
	t.Helper()
	object, _ := got.(map[string]any)
	wrong, _ := object["error"].(map[string]any)
	if object["ok"] != false || wrong == nil {
		t.Fatalf("got %.200v, want ok false and an error", got)
	}
	if value, has := object["value"]; has && value != nil {
		t.Errorf("got value %v beside an error, want null", value)
	}
	code, _ = wrong["code"].(string)
	message, _ = wrong["message"].(string)
	return code, message
}

func builtin(t testing.TB, name string) declare.Builtin {
	t.Helper()
	for _, b := range pure.Builtins() {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no builtin %s", name)
	return declare.Builtin{}
}
