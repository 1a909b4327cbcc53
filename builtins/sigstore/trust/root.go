package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// Root is trust material with the hash of its content: two roots with the same
// hash give the same verdicts. It is immutable.
type Root struct {
	material    root.TrustedMaterial
	authorities []root.CertificateAuthority
	hash        string
}

// New makes a root of material; content is what the material was read from.
func New(material root.TrustedMaterial, content []byte) *Root {
	out := &Root{material: material, hash: contentHash(content)}
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
	return New(material, data), nil
}

// Hash names the content of the root, sha256 in hex.
func (r *Root) Hash() string { return r.hash }

// Material are the logs and timestamp authorities of the root.
func (r *Root) Material() root.TrustedMaterial { return r.material }

// Authorities are its certificate authorities, with their links verified once.
func (r *Root) Authorities() []root.CertificateAuthority { return r.authorities }

func contentHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
