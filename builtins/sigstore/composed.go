package sigstore

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// composed takes each part of the trust material from the root that the
// authority names for it (KLS-4, TLOG-2, TSA-1).
type composed struct {
	root.BaseTrustedMaterial
	certificates, log, timestamps root.TrustedMaterial
	key                           *root.ExpiringKey
	// authorities issue the certificates that are accepted.
	authorities []root.CertificateAuthority
	// now, when set, replaces the observer's time: the chain of a certificate
	// without log and timestamp is judged at the clock the check was given.
	now *time.Time
}

var _ root.TrustedMaterial = (*composed)(nil)

// trusting is one authority as the list of them.
func trusting(authority root.CertificateAuthority) []root.CertificateAuthority {
	return []root.CertificateAuthority{authority}
}

// FulcioCertificateAuthorities gives the authorities as they are and no more:
// sigstore-go would add the intermediates that a bundle brings along to one that it
// knows the type of. Who may issue is for the trust root to say, and a [trust.PrivateCA]
// is asked with them.
func (c *composed) FulcioCertificateAuthorities() []root.CertificateAuthority {
	out := make([]root.CertificateAuthority, len(c.authorities))
	for i, authority := range c.authorities {
		out[i] = sealed{authority, c.now}
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

// sealed is an authority of a type of ours. With a clock it verifies at that time,
// whatever time it is asked for: sigstore-go's WithCurrentTime reads the clock of
// the process, which a check must not.
type sealed struct {
	root.CertificateAuthority
	now *time.Time
}

func (a sealed) Verify(cert *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	if a.now != nil {
		at = *a.now
	}
	return a.CertificateAuthority.Verify(cert, at)
}

// along is the trust when intermediates came along with a signature: they may help
// to find the way up to a ca-cert, and to nothing else.
func (c *Check) along(intermediates []*x509.Certificate) *composed {
	if c.ca == nil || len(intermediates) == 0 {
		return c.trust
	}
	out := *c.trust
	out.authorities = trusting(c.ca.With(intermediates))
	return &out
}
