package sigstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/pubkey"
)

// publicKey reads a key: a PEM public key, of which the first block counts (KEY-1),
// or a certificate, alone or with its chain after it. The algorithm is the one of
// key.hashAlgorithm (KEY-4), sha256 by default.
func publicKey(data, algorithm string) (signature.Verifier, *x509.Certificate, error) {
	hash, err := hashOf(algorithm)
	if err != nil {
		return nil, nil, err
	}
	var key crypto.PublicKey
	var leaf *x509.Certificate
	if block, _ := pem.Decode([]byte(data)); block != nil && block.Type == "CERTIFICATE" {
		if leaf, err = keyLeaf(data); err != nil {
			return nil, nil, err
		}
		key = leaf.PublicKey
	} else if key, err = cryptoutils.UnmarshalPEMToPublicKey([]byte(data)); err != nil {
		return nil, nil, err
	}
	verifier, err := signature.LoadVerifier(key, hash)
	return verifier, leaf, err
}

// keyLeaf is the certificate whose key is meant: the first. What follows has to be
// its chain, in order, so that a bundle of certificates the other way round does
// not make the key of a whole authority the one that signs. The chain is no reason
// to trust the key, the policy is.
func keyLeaf(data string) (*x509.Certificate, error) {
	chain, err := trust.ParseCertificates([]byte(data), pubkey.MostCertificates)
	if err != nil {
		return nil, err
	}
	for i, issuer := range chain[1:] {
		if !bytes.Equal(chain[i].RawIssuer, issuer.RawSubject) || chain[i].CheckSignatureFrom(issuer) != nil {
			return nil, fmt.Errorf("certificate %d: got one that certificate %d did not issue, want the signer's first and then its chain", i, i+1)
		}
	}
	return chain[0], nil
}

// keyInTime holds a key with a certificate to the window of it, at the times that
// were vouched for or else now.
func (c *Check) keyInTime(s *Signature) *Refusal {
	if c.keyLeaf == nil {
		return nil
	}
	var times []time.Time
	for _, t := range s.Timestamps {
		times = append(times, t.Time)
	}
	for _, entry := range s.Log {
		if !entry.IntegratedTime.IsZero() {
			times = append(times, entry.IntegratedTime)
		}
	}
	if len(times) == 0 {
		times = []time.Time{c.now}
		if s.ValidUntil.IsZero() || c.keyLeaf.NotAfter.Before(s.ValidUntil) {
			s.ValidUntil = c.keyLeaf.NotAfter
		}
	}
	for _, t := range times {
		if t.Before(c.keyLeaf.NotBefore) || t.After(c.keyLeaf.NotAfter) {
			return refuse(Expired, "certificate of the key: got a signature of %s, want one from %s to %s",
				t.UTC().Format(time.RFC3339), c.keyLeaf.NotBefore.UTC().Format(time.RFC3339), c.keyLeaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// privateCA takes over the certificate authority that a policy brings itself.
func (c *Check) privateCA(a cip.Authority) *Refusal {
	given := a.Keyless.CACert
	if given == nil {
		return nil
	}
	if given.Data == "" {
		return refuse(Unsupported, "there is no certificate in keyless.ca-cert of authority %s", a.Name)
	}
	ca, err := trust.ParseCA([]byte(given.Data))
	if err != nil {
		return refuse(Unsupported, "keyless.ca-cert: %v", err)
	}
	c.ca = ca
	c.trust.authorities = trusting(ca)
	return nil
}

func hashOf(algorithm string) (crypto.Hash, error) {
	switch strings.ToLower(algorithm) {
	case "", "sha256":
		return crypto.SHA256, nil
	case "sha224":
		return crypto.SHA224, nil
	case "sha384":
		return crypto.SHA384, nil
	case "sha512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("hash algorithm: got %q, want sha224, sha256, sha384 or sha512", algorithm)
}
