package sigstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// Root is trust material with the hash of its content: two roots with the same
// hash give the same verdicts.
type Root struct {
	material root.TrustedMaterial
	links    []root.CertificateAuthority
	hash     string
}

func newRoot(material root.TrustedMaterial, content []byte) *Root {
	out := &Root{material: material, hash: contentHash(content)}
	for _, authority := range material.FulcioCertificateAuthorities() {
		out.links = append(out.links, link(authority))
	}
	return out
}

// Hash names the content of the root, sha256 in hex.
func (r *Root) Hash() string { return r.hash }

// ParseTrustedRoot reads a trusted_root.json (Sigstore protobuf-specs,
// TrustedRoot v0.1). Every part may be missing; what is missing verifies nothing.
func ParseTrustedRoot(data []byte) (*Root, error) {
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return newRoot(material, data), nil
}

func contentHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Roots is the trust material of one policy set: the default root and the
// TrustRoots that policies name.
type Roots struct {
	// Default verifies authorities without trustRootRef; nil when there is none.
	Default *Root
	// DefaultCause says why there is no default root, for messages.
	DefaultCause string
	// Named are the TrustRoot resources by name.
	Named map[string]*Root
}

// lookup finds the root that a trustRootRef names; the empty name is the default.
func (r Roots) lookup(ref string) (*Root, *Refusal) {
	if ref == "" {
		if r.Default == nil {
			cause := r.DefaultCause
			if cause == "" {
				cause = "no trusted root is configured"
			}
			return nil, refuse(UntrustedRoot, "%s", cause)
		}
		return r.Default, nil
	}
	if named, ok := r.Named[ref]; ok {
		return named, nil
	}
	return nil, refuse(UntrustedRoot, "trustRootRef %s not found", ref)
}

// composed takes each part of the trust material from the root that the
// authority names for it (section 1.8 of the reference: KLS-4, TLOG-2, TSA-1).
type composed struct {
	root.BaseTrustedMaterial
	certificates, log, timestamps root.TrustedMaterial
	key                           *root.ExpiringKey
	// links are the certificates' authorities with their links verified. A bundle
	// or a layer that brings a chain along is not asked: who may issue is for the
	// trust root to say.
	links []root.CertificateAuthority
	// now, when set, replaces the observer's time: the chain of a certificate
	// without log and timestamp is judged at the clock the check was given.
	now *time.Time
}

var _ root.TrustedMaterial = (*composed)(nil)

func (c *composed) FulcioCertificateAuthorities() []root.CertificateAuthority {
	if c.now == nil {
		return c.links
	}
	out := make([]root.CertificateAuthority, len(c.links))
	for i, authority := range c.links {
		out[i] = clockedAuthority{authority, *c.now}
	}
	return out
}

func (c *composed) CTLogs() map[string]*root.TransparencyLog {
	if c.certificates == nil {
		return nil
	}
	return c.certificates.CTLogs()
}

func (c *composed) RekorLogs() map[string]*root.TransparencyLog {
	if c.log == nil {
		return nil
	}
	return c.log.RekorLogs()
}

func (c *composed) TimestampingAuthorities() []root.TimestampingAuthority {
	if c.timestamps == nil {
		return nil
	}
	return c.timestamps.TimestampingAuthorities()
}

func (c *composed) PublicKeyVerifier(hint string) (root.TimeConstrainedVerifier, error) {
	if c.key == nil {
		return nil, fmt.Errorf("public key %q: the authority is keyless", hint)
	}
	return c.key, nil
}

// clockedAuthority verifies at a fixed time, whatever time it is asked for:
// sigstore-go's WithCurrentTime reads the clock of the process, which a check
// must not.
type clockedAuthority struct {
	root.CertificateAuthority
	now time.Time
}

func (a clockedAuthority) Verify(cert *x509.Certificate, _ time.Time) ([][]*x509.Certificate, error) {
	return a.CertificateAuthority.Verify(cert, a.now)
}

// Generation names the content of all roots together.
func (r Roots) Generation() string {
	names := slices.Sorted(maps.Keys(r.Named))
	var out strings.Builder
	if r.Default != nil {
		out.WriteString(r.Default.hash)
	}
	for _, name := range names {
		fmt.Fprintf(&out, " %q=%s", name, r.Named[name].hash)
	}
	return contentHash([]byte(out.String()))
}
