package builtins_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/tenant"
)

// TestAnswersHaveTheirDeclaredTypes: the compiler checks policies against the
// declarations, so an answer must be what its declaration says.
func TestAnswersHaveTheirDeclaredTypes(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	s := factsOf(t, w).Open(oci.Credentials{}, tenant.Workload{})
	byKey := `{"name": "key", "key": {"data": "${key:deploy}"}}`
	for _, tt := range []struct {
		call string
		ok   bool
	}{
		{`oci.parse("${app}")`, true},
		{`oci.parse("alpine")`, true},
		{`oci.parse("no reference")`, false},
		{`oci.resolve("${app}")`, true},
		{`oci.resolve("${app@}")`, true},
		{`oci.resolve("${registry}/missing:v1")`, false},
		{`cosign.verify("${app@}", ` + authority + `)`, true},
		{`cosign.verify("${by-key@}", ` + byKey + `)`, true},
		{`cosign.verify("${by-key@}", ` + authority + `)`, false},
		{`cosign.verify("${bare@}", ` + authority + `)`, false},
		{`cosign.attestations("${app@}", ` + authority + `, "slsaprovenance1")`, true},
		{`cosign.attestations("${app@}", ` + authority + `, "vuln")`, false},
		{`cosign.attestations("${bare@}", ` + authority + `, "vuln")`, false},
		{`cue.validate("a: int", {"a": 1})`, true},
		{`cue.validate("a: int", {"a": "1"})`, false},
		{`cue.validate_concrete("a: int", {"a": 1})`, true},
		{`cue.validate_concrete("a: int", {})`, false},
	} {
		// A PEM has lines; a Rego string says so by escapes.
		expression := strings.ReplaceAll(tt.call, "${key:deploy}", strings.ReplaceAll(w.Expand("${key:deploy}"), "\n", `\n`))
		expression = w.Expand(expression)
		got := answer(t, s, expression)
		if ok := got.(map[string]any)["ok"]; ok != tt.ok {
			t.Errorf("%s: got %v, want ok %t", tt.call, got, tt.ok)
		}
		name, _, _ := strings.Cut(tt.call, "(")
		if err := conforms(declaration(t, name).Decl.Result(), got); err != nil {
			t.Errorf("%s: %v", tt.call, err)
		}
	}
}

// conforms says where a value is not of a type. Members that a signature may
// lack may be absent, all others must be there and no others may.
func conforms(of types.Type, value any) error {
	switch of := of.(type) {
	case *types.NamedType:
		return conforms(of.Type, value)
	case types.Any:
		if len(of) == 0 || slices.ContainsFunc(of, func(one types.Type) bool { return conforms(one, value) == nil }) {
			return nil
		}
	case types.Null:
		if value == nil {
			return nil
		}
	case types.Boolean:
		if _, ok := value.(bool); ok {
			return nil
		}
	case types.String:
		if _, ok := value.(string); ok {
			return nil
		}
	case types.Number:
		if _, ok := value.(json.Number); ok {
			return nil
		}
	case *types.Array:
		if list, ok := value.([]any); ok {
			for i, element := range list {
				if err := conforms(of.Select(i), element); err != nil {
					return fmt.Errorf("[%d]%w", i, err)
				}
			}
			return nil
		}
	case *types.Object:
		if members, ok := value.(map[string]any); ok {
			return membersConform(of, members)
		}
	}
	return fmt.Errorf(": got %v, want %v", value, of)
}

func membersConform(of *types.Object, members map[string]any) error {
	optional := []string{
		"subject", "issuer", "extensions", "log", "timestamps", "weaker", "predicate_type", "statement", "digest", "document", "document_error", "integrated_time", "uri", "hint",
	}
	for _, property := range of.StaticProperties() {
		name := property.Key.(string)
		if _, ok := members[name]; !ok && !slices.Contains(optional, name) {
			return fmt.Errorf(".%s: got nothing", name)
		}
	}
	for name, member := range members {
		want := of.Select(name)
		if want == nil {
			return fmt.Errorf(".%s: not declared", name)
		}
		if err := conforms(want, member); err != nil {
			return fmt.Errorf(".%s%w", name, err)
		}
	}
	return nil
}
