// Package authority reads the authority that Rego gives to a builtin.
package authority

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/rego/cip"
)

// Read reads an authority: the CIP's own fields and no others.
func Read(t *ast.Term) (out cip.Authority, p *declare.Problem) {
	if _, ok := t.Value.(ast.Object); !ok {
		return out, declare.Refuse(declare.Malformed, "authority: got "+ast.ValueName(t.Value)+", want an object")
	}
	value, err := ast.JSON(t.Value)
	if err != nil {
		return out, declare.Refuse(declare.Malformed, "authority: "+err.Error())
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return out, declare.Refuse(declare.Malformed, "authority: "+err.Error())
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil {
		return out, declare.Refuse(declare.Malformed, "authority: "+err.Error())
	}
	return out, enforced(out)
}

// enforced refuses what an authority may say and nothing here heeds. The
// compiler refuses the same of a ClusterImagePolicy; this is for authorities
// that hand-written Rego made up.
func enforced(a cip.Authority) *declare.Problem {
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
			return declare.Refuse(declare.Unsupported, "authority: "+field.name+" is not supported here")
		}
	}
	return nil
}
