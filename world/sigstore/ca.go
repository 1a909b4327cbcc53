package sigstore

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

const (
	// LeafLifetime is Fulcio's own: ten minutes.
	LeafLifetime = 10 * time.Minute
	// authorityAge and authorityLifetime put the clock well inside the
	// validity of every authority.
	authorityAge      = 365 * 24 * time.Hour
	authorityLifetime = 10 * 365 * 24 * time.Hour
)

// CA is a certificate authority like Fulcio: a root, an intermediate that signs, and
// nothing between asking and getting.
type CA struct {
	root, intermediate *x509.Certificate
	key                *ecdsa.PrivateKey
}

func newCA(clock time.Time) (*CA, error) {
	root, rootKey, err := issueAuthority(clock, "world-root", nil, nil)
	if err != nil {
		return nil, err
	}
	intermediate, key, err := issueAuthority(clock, "world-intermediate", root, rootKey)
	if err != nil {
		return nil, err
	}
	return &CA{root: root, intermediate: intermediate, key: key}, nil
}

// issueAuthority makes a CA certificate, self-signed without a parent.
func issueAuthority(clock time.Time, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey,
) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"world"}, CommonName: name},
		NotBefore:             clock.Add(-authorityAge),
		NotAfter:              clock.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if parent == nil {
		parent, parentKey = template, key
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		template.MaxPathLenZero = true
	}
	certificate, err := sign(template, parent, key, parentKey)
	return certificate, key, err
}

// Issue makes a signer with a new key and a leaf about the identity. Without a
// log the leaf has no SCT.
func (ca *CA) Issue(who Identity, at time.Time, log *CTLog) (*Signer, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	leaf, err := ca.leaf(who, key, at, log)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return newSigner(key, leaf, ca.intermediate, ca.root)
}

func (ca *CA) leaf(who Identity, key *ecdsa.PrivateKey, at time.Time, log *CTLog) (*x509.Certificate, error) {
	// Both signings of one leaf must share the serial number.
	serial, err := rand.Int(rand.Reader, serialLimit())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    at,
		NotAfter:     at.Add(LeafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if template.ExtraExtensions, err = who.certificateExtensions(); err != nil {
		return nil, err
	}
	if err := setSubject(template, who.Subject); err != nil {
		return nil, err
	}
	leaf, err := sign(template, ca.intermediate, key, ca.key)
	if err != nil || log == nil {
		return leaf, err
	}
	// The log signs the certificate without the SCT; appended last, the SCT can
	// be taken away again without moving anything else (RFC 6962, section 3.2).
	sct, err := log.promise(leaf.RawTBSCertificate, ca.intermediate, at)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, sct)
	return sign(template, ca.intermediate, key, ca.key)
}

func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, fmt.Errorf("create certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// serialLimit keeps serial numbers within the 20 bytes of RFC 5280, section 4.1.2.2.
func serialLimit() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 158) }
