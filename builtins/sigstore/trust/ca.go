package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/assay-dev/assay/rego/cip/pubkey"
)

// mostCertificateBytes bounds certificates that come in a row, whatever their number.
const mostCertificateBytes = 256 << 10

// MostAlong is how many intermediates that came along are looked at.
const MostAlong = 8

// PrivateCA is a certificate authority that a policy brings itself: keyless.ca-cert
// (KLS-2). It is either a set of certificates or nothing but a public key.
//
// Of certificates the self-signed ones are trusted and the others lead to them, as
// in a TrustRoot (KLS-4): a certificate verifies for code signing, at a time when
// all of its chain is valid. A public key trusts what it signed itself.
type PrivateCA struct {
	roots, intermediates []*x509.Certificate
	key                  crypto.PublicKey
	// issuer carries the key where a certificate is wanted: certificate logs name
	// issuers by the hash of their key (RFC 6962, section 3.2).
	issuer *x509.Certificate
	along  []*x509.Certificate
}

var _ root.CertificateAuthority = (*PrivateCA)(nil)

// ParseCA reads PEM certificates or one PEM public key.
func ParseCA(data []byte) (*PrivateCA, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("got no PEM block, want certificates or a public key")
	}
	if block.Type != "CERTIFICATE" {
		return keyCA(data)
	}
	chain, err := ParseCertificates(data, pubkey.MostCertificates)
	if err != nil {
		return nil, err
	}
	for i, certificate := range chain {
		if !certificate.BasicConstraintsValid || !certificate.IsCA {
			return nil, fmt.Errorf("certificate %d: got one that is no CA", i)
		}
		if certificate.KeyUsage != 0 && certificate.KeyUsage&x509.KeyUsageCertSign == 0 {
			return nil, fmt.Errorf("certificate %d: got a CA that may not sign certificates", i)
		}
	}
	out := &PrivateCA{}
	out.roots, out.intermediates = anchors(chain)
	return out, nil
}

// ParseCertificates reads PEM certificates and nothing else, at least one and at
// most that many.
func ParseCertificates(data []byte, most int) ([]*x509.Certificate, error) {
	if len(data) > mostCertificateBytes {
		return nil, fmt.Errorf("certificates: got %d bytes, want at most %d", len(data), mostCertificateBytes)
	}
	var out []*x509.Certificate
	for data = bytes.TrimSpace(data); len(data) > 0; data = bytes.TrimSpace(data) {
		block, rest := pem.Decode(data)
		switch {
		case block == nil:
			return nil, errors.New("certificates: got something that is not PEM")
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("certificates: got a PEM block of type %.40q, want CERTIFICATE", block.Type)
		case len(out) == most:
			return nil, fmt.Errorf("certificates: got more than %d", most)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out), err)
		}
		out, data = append(out, certificate), rest
	}
	if len(out) == 0 {
		return nil, errors.New("certificates: got none")
	}
	return out, nil
}

func keyCA(data []byte) (*PrivateCA, error) {
	key, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, err
	}
	// Whoever signs it: the certificate is never trusted, it only shows the key.
	hand, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "keyless.ca-cert"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, hand)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	issuer, err := x509.ParseCertificate(der)
	return &PrivateCA{key: key, issuer: issuer}, err
}

// ParseAlong reads intermediates that came along with a signature.
func ParseAlong(data []byte) ([]*x509.Certificate, error) { return ParseCertificates(data, MostAlong) }

// With is the authority and intermediates that came along with a signature. Nobody
// trusts them: they may only lead up to a root of the policy, by their signatures
// and under all that X.509 asks of an authority. Beyond a few they are left out.
func (ca *PrivateCA) With(along []*x509.Certificate) *PrivateCA {
	out := *ca
	out.along = along[:min(len(along), MostAlong)]
	return &out
}

// Verify finds the way of a certificate up to the authority.
func (ca *PrivateCA) Verify(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	if ca.key != nil {
		return ca.signed(leaf, at)
	}
	trusted, between := x509.NewCertPool(), x509.NewCertPool()
	for _, certificate := range ca.roots {
		trusted.AddCert(certificate)
	}
	for _, certificate := range slices.Concat(ca.intermediates, ca.along) {
		between.AddCert(certificate)
	}
	return leaf.Verify(x509.VerifyOptions{
		CurrentTime: at, Roots: trusted, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
}

// signed is Verify for a bare key, in the order of RFC 5280, section 6.1.3.
func (ca *PrivateCA) signed(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	if err := ca.issuer.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
		return nil, err
	}
	if at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
		return nil, x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired}
	}
	if len(leaf.UnhandledCriticalExtensions) > 0 {
		return nil, x509.UnhandledCriticalExtension{}
	}
	if !signsCode(leaf) {
		return nil, x509.CertificateInvalidError{Cert: leaf, Reason: x509.IncompatibleUsage}
	}
	return [][]*x509.Certificate{{leaf, ca.issuer}}, nil
}

// signsCode reports whether a certificate may be used to sign code: it says so, or
// it does not say what it is for.
func signsCode(certificate *x509.Certificate) bool {
	usages := certificate.ExtKeyUsage
	return len(usages)+len(certificate.UnknownExtKeyUsage) == 0 ||
		slices.Contains(usages, x509.ExtKeyUsageCodeSigning) || slices.Contains(usages, x509.ExtKeyUsageAny)
}
