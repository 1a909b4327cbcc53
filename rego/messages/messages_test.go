package messages_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/messages"
)

// TestEveryTextThatPoliciesChooseIsVisited fills each text of a decision, and wants those
// to be left that name things.
func TestEveryTextThatPoliciesChooseIsVisited(t *testing.T) {
	t.Parallel()
	var decision rego.Decision
	fill(reflect.ValueOf(&decision).Elem())
	decision.Rego[0].Denials[0].Details = map[string]any{"a": []any{"secret", map[string]any{"b": "secret"}, 1}}
	messages.Visit(&decision, func(text *string) {
		if *text == "secret" {
			*text = "hidden"
		}
	})
	encoded, err := json.Marshal(decision)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	names(t, "", encoded, &got)
	want := "images.digest images.image images.manifest images.path images.policies.authorities.error.code images.policies.authorities.name " +
		"images.policies.authorities.outcome images.policies.authorities.signers.format images.policies.authorities.signers.id " +
		"images.policies.authorities.signers.issuer images.policies.authorities.signers.predicate_type images.policies.authorities.signers.subject " +
		"images.policies.authorities.signers.weaker images.policies.mode images.policies.name images.policies.outcome images.policies.policy.error.code " +
		"images.policies.policy.outcome patch.op patch.path patch.value rego.description rego.docs rego.error.code rego.mode rego.name rego.outcome " +
		"rego.owner rego.severity rego.title"
	if got := strings.Join(got, " "); got != want {
		t.Errorf("not visited: got\n%s\nwant\n%s", got, want)
	}
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("secret")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default: // no text
	}
}

// names are the places of what was not visited.
func names(t *testing.T, place string, encoded json.RawMessage, out *[]string) {
	t.Helper()
	var list []json.RawMessage
	if json.Unmarshal(encoded, &list) == nil {
		for _, item := range list {
			names(t, place, item, out)
		}
		return
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(encoded, &object) == nil {
		for _, name := range slices.Sorted(maps.Keys(object)) {
			names(t, strings.TrimPrefix(place+"."+name, "."), object[name], out)
		}
		return
	}
	if string(encoded) == `"secret"` {
		*out = append(*out, place)
	}
}
