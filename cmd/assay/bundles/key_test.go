package bundles_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/bundles"
)

// pemOf is a private key and its public one, in files.
func pemOf(t *testing.T, private, public any) (key, verification string) {
	t.Helper()
	first, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	second, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: first})),
		written(t, "key.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: second}))
}

func written(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAnAlgorithmThatAKeyHasNot is said by name, and which it has.
func TestAnAlgorithmThatAKeyHasNot(t *testing.T) {
	t.Parallel()
	curve := func(c elliptic.Curve) (any, any) {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key, &key.PublicKey
	}
	p256, public256 := curve(elliptic.P256())
	p384, public384 := curve(elliptic.P384())
	p224, public224 := curve(elliptic.P224())
	of, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edwards, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(p256.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	openssl := written(t, "key.pem", append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...))
	for name, tt := range map[string]struct {
		private, public any
		key             string // in place of private
		algorithm, want string
	}{
		"EC, and nothing said":  {private: p256, public: public256, algorithm: "RS256", want: "--signing-alg: got RS256, want ES256 for this key"},
		"EC as openssl has it":  {private: p256, public: public256, key: openssl, algorithm: "RS256", want: "--signing-alg: got RS256, want ES256 for this key"},
		"EC of another length":  {private: p384, public: public384, algorithm: "ES256", want: "--signing-alg: got ES256, want ES384 for this key"},
		"EC that none has":      {private: p224, public: public224, algorithm: "ES256", want: "got a key on P-224, want one on P-256, P-384 or P-521, or of RSA"},
		"RSA as EC":             {private: of, public: &of.PublicKey, algorithm: "ES256", want: "--signing-alg: got ES256, want RS256, RS384, RS512, PS256, PS384 or PS512 for this key"},
		"Ed25519, which no OPA": {private: private, public: edwards, algorithm: "ES256", want: "got a key of Ed25519, want one on P-256, P-384 or P-521, or of RSA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, public := pemOf(t, tt.private, tt.public)
			if tt.key != "" {
				key = tt.key
			}
			bundle := filepath.Join(t.TempDir(), "bundle.tar.gz")
			source := written(t, "data.json", []byte(`{"a": 1}`))
			if said, err := run(t, bundles.Options{}, "build", filepath.Dir(source), "--revision", "1", "-o", bundle); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if _, err := run(t, bundles.Options{}, "sign", bundle, "--signing-key", key, "--signing-alg", tt.algorithm); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("sign: got %v, want %q", err, tt.want)
			}
			secret := written(t, "secret", []byte(strings.Repeat("s", 32)))
			if said, err := run(t, bundles.Options{}, "sign", bundle, "--signing-key", secret, "--signing-alg", "HS256"); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			said, err := run(t, bundles.Options{}, "verify-bundle", bundle, "--verification-key", public, "--signing-alg", tt.algorithm)
			if err == nil || !strings.Contains(said, tt.want) {
				t.Errorf("verify-bundle: got %q, %v, want %q", said, err, tt.want)
			}
		})
	}
}
