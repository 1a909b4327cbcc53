package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/assay-dev/assay/rego/cip"
)

// Root is trust material with the hash of its content: two roots with the same
// hash give the same verdicts. It is immutable.
type Root struct {
	material    root.TrustedMaterial
	authorities []root.CertificateAuthority
	hash        string
	form        Form
	content     []byte
}

// Form is what the content of a root is.
type Form string

// The forms.
const (
	// FormTrustedRoot is a trusted_root.json.
	FormTrustedRoot Form = "trusted_root"
	// FormKeys is the spec.sigstoreKeys of a TrustRoot, in JSON.
	FormKeys Form = "sigstore_keys"
)

// newRoot makes a root of material; content is what the material was read from.
func newRoot(material root.TrustedMaterial, form Form, content []byte) *Root {
	out := &Root{material: material, hash: contentHash(content), form: form, content: content}
	for _, authority := range material.FulcioCertificateAuthorities() {
		out.authorities = append(out.authorities, link(authority))
	}
	return out
}

// Parse reads a trusted_root.json (Sigstore protobuf-specs, TrustedRoot v0.1).
// Every part may be missing; what is missing verifies nothing.
func Parse(data []byte) (*Root, error) {
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return newRoot(material, FormTrustedRoot, data), nil
}

// Read makes the root of content that [Root.Content] gave.
func Read(form Form, content []byte) (*Root, error) {
	switch form {
	case FormTrustedRoot:
		return Parse(content)
	case FormKeys:
		var keys cip.SigstoreKeys
		if err := json.Unmarshal(content, &keys); err != nil {
			return nil, fmt.Errorf("sigstore keys: %w", err)
		}
		return FromKeys(&keys)
	}
	return nil, fmt.Errorf("trust root: got form %.40q, want %s or %s", form, FormTrustedRoot, FormKeys)
}

// Hash names the content of the root, sha256 in hex.
func (r *Root) Hash() string { return r.hash }

// Content is what the root was read from, for [Read]. It must not be changed.
func (r *Root) Content() (Form, []byte) { return r.form, r.content }

// Material are the logs and timestamp authorities of the root.
func (r *Root) Material() root.TrustedMaterial { return r.material }

// Authorities are its certificate authorities, with their links verified once.
func (r *Root) Authorities() []root.CertificateAuthority { return r.authorities }

func contentHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
