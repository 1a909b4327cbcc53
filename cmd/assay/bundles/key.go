package bundles

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/assay-dev/assay/cmd/assay/sources"
)

// maxKey bounds a file with a key.
const maxKey = 64 << 10

// leastSecret is RFC 7518, 3.2: a key of HMAC is as long as the hash, at least.
const leastSecret = 32

// algorithms are those of OPA that are signatures. "none" is one of the library's.
func algorithms() []string {
	return []string{"ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
}

// readKey reads the file of a key for an algorithm. OPA would take a path that does not
// exist for the secret itself.
func readKey(flag, path, algorithm string) ([]byte, error) {
	if !slices.Contains(algorithms(), algorithm) {
		return nil, fmt.Errorf("--signing-alg: got %q, want one of %s", algorithm, strings.Join(algorithms(), ", "))
	}
	text, err := sources.Read(path, maxKey)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if secret := strings.HasPrefix(algorithm, "HS"); secret && len(text) < leastSecret {
		return nil, fmt.Errorf("%s: got %d bytes, want at least %d for %s", flag, len(text), leastSecret, algorithm)
	} else if secret && bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN")) {
		return nil, fmt.Errorf("%s: got a key in PEM, want a secret for %s", flag, algorithm)
	}
	return text, fits(flag, text, algorithm)
}

// fits refuses a key that cannot be one of the algorithm, and says which it has. What is
// unknown here is for OPA to refuse.
func fits(flag string, text []byte, algorithm string) error {
	of, known := kindOf(text)
	switch {
	case !known || slices.Contains(of.algorithms, algorithm):
		return nil
	case len(of.algorithms) == 0:
		return fmt.Errorf("%s: got a key %s, want one on P-256, P-384 or P-521, or of RSA", flag, of.name)
	}
	want := strings.Join(of.algorithms, ", ")
	if last := len(of.algorithms) - 1; last > 0 {
		want = strings.Join(of.algorithms[:last], ", ") + " or " + of.algorithms[last]
	}
	return fmt.Errorf("--signing-alg: got %s, want %s for this key", algorithm, want)
}

// kind is what a key is, and the algorithms that it has.
type kind struct {
	name       string
	algorithms []string
}

// kindOf looks at the first key in PEM.
func kindOf(text []byte) (kind, bool) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch key := parsed(block.Bytes).(type) {
		case *rsa.PrivateKey, *rsa.PublicKey:
			return kind{"of RSA", []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}}, true
		case *ecdsa.PrivateKey:
			return onCurve(key.Curve), true
		case *ecdsa.PublicKey:
			return onCurve(key.Curve), true
		case ed25519.PrivateKey, ed25519.PublicKey:
			return kind{name: "of Ed25519"}, true
		}
	}
	return kind{}, false
}

func onCurve(curve elliptic.Curve) kind {
	name := curve.Params().Name
	algorithm := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[name]
	if algorithm == "" {
		return kind{name: "on " + name}
	}
	return kind{"on " + name, []string{algorithm}}
}

// parsed is a key in any of its forms, or nil.
func parsed(der []byte) any {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key
	}
	if certificate, err := x509.ParseCertificate(der); err == nil {
		return certificate.PublicKey
	}
	return nil
}
