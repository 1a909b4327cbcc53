package builtins

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/rego/cip"
)

// term turns an answer into the value that Rego sees, by its JSON form: Go and
// Rego share one codec for each type.
func term(answer any) *ast.Term {
	out, _ := sized(answer)
	return out
}

// sized is term, and the size of the JSON form in bytes.
func sized(answer any) (*ast.Term, int64) {
	text, err := json.Marshal(answer)
	if err == nil {
		var value ast.Value
		if value, err = ast.ValueFromReader(bytes.NewReader(text)); err == nil {
			return ast.NewTerm(value), int64(len(text))
		}
	}
	// Answers are plain data of ours and the statements in them were parsed
	// before, so this cannot happen; if it does, nothing is verified.
	return ast.ObjectTerm(
		ast.Item(ast.StringTerm("ok"), ast.BooleanTerm(false)),
		ast.Item(ast.StringTerm("error"), ast.ObjectTerm(
			ast.Item(ast.StringTerm("code"), ast.StringTerm(string(Malformed))),
			ast.Item(ast.StringTerm("message"), ast.StringTerm("answer: "+err.Error())),
		)),
	), 0
}

// text reads a string operand.
func text(t *ast.Term) (string, bool) {
	s, ok := t.Value.(ast.String)
	return string(s), ok
}

func wantString(operand string, got *ast.Term) *problem {
	return &problem{Malformed, operand + ": got " + ast.ValueName(got.Value) + ", want a string"}
}

// authority reads an authority: the CIP's own fields and no others.
func authority(t *ast.Term) (out cip.Authority, p *problem) {
	if _, ok := t.Value.(ast.Object); !ok {
		return out, &problem{Malformed, "authority: got " + ast.ValueName(t.Value) + ", want an object"}
	}
	value, err := ast.JSON(t.Value)
	if err != nil {
		return out, &problem{Malformed, "authority: " + err.Error()}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return out, &problem{Malformed, "authority: " + err.Error()}
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil {
		return out, &problem{Malformed, "authority: " + err.Error()}
	}
	return out, enforced(out)
}

// enforced refuses what an authority may say and nothing here heeds. The
// compiler refuses the same of a ClusterImagePolicy; this is for authorities
// that hand-written Rego made up.
func enforced(a cip.Authority) *problem {
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"static", a.Static != nil},
		{"key.secretRef", a.Key != nil && a.Key.SecretRef != nil},
		{"key.kms", a.Key != nil && a.Key.KMS != ""},
		{"keyless.ca-cert.secretRef", a.Keyless != nil && a.Keyless.CACert != nil && a.Keyless.CACert.SecretRef != nil},
		{"keyless.ca-cert.kms", a.Keyless != nil && a.Keyless.CACert != nil && a.Keyless.CACert.KMS != ""},
		{"attestations.policy", slices.ContainsFunc(a.Attestations, func(a cip.Attestation) bool { return a.Policy != nil })},
	} {
		if field.set {
			return &problem{Unsupported, "authority: " + field.name + " is not supported here"}
		}
	}
	return nil
}

// errorType is the type of every answer's error: null or a code and a message.
func errorType() types.Type {
	return types.Named("error", types.NewAny(types.NewNull(), closed(map[string]types.Type{
		"code": types.S, "message": types.S,
	}))).Description("null, or the code and the message of what went wrong")
}

// closed is an object of exactly the given members: a member that policies
// misspell is a compile error.
func closed(members map[string]types.Type) *types.Object {
	properties := make([]*types.StaticProperty, 0, len(members))
	for name, member := range members {
		properties = append(properties, types.NewStaticProperty(name, member))
	}
	return types.NewObject(properties, nil)
}

// authorityType admits any object; which fields it may have is checked when it
// is read, so that the message can name the one that is wrong.
func authorityType() types.Type {
	return types.NewObject(nil, types.NewDynamicProperty(types.S, types.A))
}

// signatureType describes sigstore.Signature.
func signatureType() types.Type { return closed(signatureMembers()) }

// attestationType describes attestation.
func attestationType() types.Type {
	members := signatureMembers()
	members["document"], members["document_error"] = types.A, types.S
	return closed(members)
}

// signatureMembers are what a signature may have. Only id and format are always
// there: a key has no subject, a Rekor v2 entry no integrated time.
func signatureMembers() map[string]types.Type {
	words := types.NewObject(nil, types.NewDynamicProperty(types.S, types.S))
	return map[string]types.Type{
		"id": types.S, "subject": types.S, "issuer": types.S, "extensions": words,
		"log": types.NewArray(nil, closed(map[string]types.Type{
			"log_id": types.S, "log_index": types.N, "integrated_time": types.S,
		})),
		"timestamps":     types.NewArray(nil, closed(map[string]types.Type{"uri": types.S, "time": types.S})),
		"digest":         types.S,
		"format":         types.S,
		"weaker":         types.NewArray(nil, types.S),
		"predicate_type": types.S,
		"statement":      types.A,
	}
}
