package sigstore

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

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
