package sigstore

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// validUntil is when a certificate that is judged by the clock could stop to be
// valid: the earliest end of its chain, or of any authority that is trusted now.
func (c *Check) validUntil(leaf *x509.Certificate, trusted *composed) time.Time {
	until := leaf.NotAfter
	earlier := func(end time.Time) {
		if end.Before(until) && end.After(c.now) {
			until = end
		}
	}
	chains, _ := verify.VerifyLeafCertificate(c.now, leaf, trusted) // it verified, or there is no verdict to keep
	for _, certificate := range slices.Concat(chains...) {
		earlier(certificate.NotAfter)
	}
	for _, authority := range trusted.authorities {
		earlier(trust.End(authority))
	}
	return until
}
