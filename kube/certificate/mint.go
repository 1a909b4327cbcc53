package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"
)

// subject is for people who look at a certificate.
const subject = "assay webhooks"

// terms are the durations of certificates.
type terms struct {
	authority, leaf time.Duration
	// lag is how long it takes at most until every API server uses a caBundle that was
	// written, and every replica a leaf.
	lag time.Duration
}

// due is when a certificate with such a life is renewed: after two thirds of it.
func due(certificate *x509.Certificate, life time.Duration) time.Time {
	return certificate.NotAfter.Add(-life / 3)
}

// mintAuthority makes a CA. It is valid since long ago: what a clock that is ahead makes
// must not be of the future for others.
func (t terms) mintAuthority(now time.Time) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: subject + " CA of " + now.UTC().Format(time.RFC3339)},
		NotBefore: now.Add(-t.authority), NotAfter: now.Add(t.authority),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	certificate, err := sign(template, template, key.Public(), key)
	return authority{certificate: certificate, key: key}, err
}

// leafEnd is when a leaf ends that is issued now: not after its CA.
func (t terms) leafEnd(issuer authority, now time.Time) time.Time {
	end := now.Add(t.leaf).Truncate(time.Second) // as a certificate writes it
	if end.After(issuer.certificate.NotAfter) {
		return issuer.certificate.NotAfter
	}
	return end
}

// mintLeaf issues a certificate for the names. It is valid for as long already as its CA.
func (t terms) mintLeaf(issuer authority, names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: subject}, DNSNames: names,
		NotBefore: issuer.certificate.NotBefore, NotAfter: t.leafEnd(issuer, now),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, err := sign(template, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// apply makes of a state the one that a step leads to.
func (t terms) apply(s step, from *state, names []string, now time.Time) (*state, error) {
	var err error
	next := &state{}
	if from != nil {
		next = &state{authorities: slices.Clone(from.authorities), leaf: from.leaf, issuer: from.issuer}
	}
	switch s {
	case found, introduce:
		var minted authority
		if minted, err = t.mintAuthority(now); err != nil {
			return nil, err
		}
		next.authorities = append(next.authorities, minted)
		if s == found {
			next.leaf, err = t.mintLeaf(minted, names, now)
		}
	case renew:
		next.leaf, err = t.mintLeaf(next.authorities[next.issuer], names, now)
	case change:
		for i := range next.newest() {
			next.authorities[i].key = nil // it signs no more
		}
		next.issuer = next.newest()
		next.leaf, err = t.mintLeaf(next.authorities[next.issuer], names, now)
	case retire:
		next.authorities, next.issuer = next.authorities[next.newest():], 0
	case rest, restore:
	}
	return next, err
}
