package trust

import (
	"bytes"
	"crypto/x509"
	"errors"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// linked is a certificate authority of which the way from the intermediates to
// the root was verified once, when the root was read: two P-384 signatures are
// half of what a verification costs, and one of them is always the same. All
// windows of time are checked at every call.
type linked struct {
	*root.FulcioCertificateAuthority
	anchors *x509.CertPool // the root and the intermediates that it issued
}

// link is the authority with its links verified. One that says more than "root
// issues intermediates" stays as it is.
func link(ca root.CertificateAuthority) root.CertificateAuthority {
	fulcio, ok := ca.(*root.FulcioCertificateAuthority)
	if !ok || len(fulcio.Intermediates) == 0 || !unconstrained(fulcio.Root) {
		return ca
	}
	anchors := x509.NewCertPool()
	anchors.AddCert(fulcio.Root)
	for _, intermediate := range fulcio.Intermediates {
		// As an anchor it is not asked any more whether it may issue.
		if !intermediate.IsCA || !intermediate.BasicConstraintsValid ||
			!bytes.Equal(intermediate.RawIssuer, fulcio.Root.RawSubject) || intermediate.CheckSignatureFrom(fulcio.Root) != nil {
			return ca
		}
		anchors.AddCert(intermediate)
	}
	return &linked{fulcio, anchors}
}

// unconstrained reports whether a root limits nothing below it, so that a chain
// that is sound up to an intermediate is sound up to the root.
func unconstrained(certificate *x509.Certificate) bool {
	for _, extension := range certificate.Extensions {
		if extension.Id.String() == "2.5.29.30" { // name constraints: RFC 5280, section 4.2.1.10
			return false
		}
	}
	return signsCode(certificate) && certificate.MaxPathLen != 0 && certificate.BasicConstraintsValid &&
		len(certificate.UnhandledCriticalExtensions) == 0
}

// Verify is what FulcioCertificateAuthority does, without the link to the root.
func (l *linked) Verify(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	if at.Before(l.ValidityPeriodStart) || at.Before(l.Root.NotBefore) {
		return nil, errors.New("certificate authority is not valid yet")
	}
	if at.After(l.Root.NotAfter) || (!l.ValidityPeriodEnd.IsZero() && at.After(l.ValidityPeriodEnd)) {
		return nil, errors.New("certificate authority is no longer valid")
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		CurrentTime: at, Roots: l.anchors, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	if err != nil {
		return nil, err
	}
	for i, chain := range chains {
		if !chain[len(chain)-1].Equal(l.Root) {
			chains[i] = append(chain, l.Root)
		}
	}
	return chains, nil
}

// End is when an authority ends to be trusted by its root, zero for never.
func End(authority root.CertificateAuthority) time.Time {
	switch authority := authority.(type) {
	case *linked:
		return authority.ValidityPeriodEnd
	case *root.FulcioCertificateAuthority:
		return authority.ValidityPeriodEnd
	}
	return time.Time{}
}

// Name is how people know an authority: by the subject of its root.
func Name(authority root.CertificateAuthority) string {
	var anchor *x509.Certificate
	switch authority := authority.(type) {
	case *linked:
		anchor = authority.Root
	case *root.FulcioCertificateAuthority:
		anchor = authority.Root
	case *PrivateCA:
		return "the ca-cert of the policy"
	}
	if anchor == nil {
		return "an authority without a name"
	}
	return anchor.Subject.String()
}
