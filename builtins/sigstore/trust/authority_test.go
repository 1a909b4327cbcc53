package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// authority is a certificate authority whose certificates end when they are told to.
type authority struct {
	root, intermediate *x509.Certificate
	rootKey, key       *ecdsa.PrivateKey
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB, curve elliptic.Curve, intermediateEnds time.Time) authority {
	t.Helper()
	a := authority{rootKey: newKey(t, curve), key: newKey(t, curve)}
	a.root = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, NotAfter: clock().Add(1000 * time.Hour), IsCA: true,
		KeyUsage: x509.KeyUsageCertSign}, nil, a.rootKey, a.rootKey)
	a.intermediate = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"}, NotAfter: intermediateEnds, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}, a.root, a.key, a.rootKey)
	return a
}

// leaf is a certificate for code signing.
func (a authority) leaf(t testing.TB, ends time.Time) *x509.Certificate {
	t.Helper()
	return issue(t, &x509.Certificate{NotAfter: ends, EmailAddresses: []string{"jane@example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}, a.intermediate, newKey(t, elliptic.P256()), a.key)
}

func issue(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.BasicConstraintsValid = serial, true
	if template.NotBefore.IsZero() {
		template.NotBefore = clock().Add(-time.Hour)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
