package sigstore

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// chain is a root and a certificate below it, with the key of that one.
type chain struct {
	below, root       *x509.Certificate
	certificates, key []byte // PEM, the root last
}

// newAuthority is a chain for Fulcio.
func newAuthority(name string) (*chain, error) {
	return newChain(name, &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
}

// newTimestampAuthority is a chain for the timestamp authority. Its extended key usage is critical
// (RFC 3161, section 2.3), which x509 has no field for.
func newTimestampAuthority(name string) (*chain, error) {
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}) // id-kp-timeStamping
	if err != nil {
		return nil, err
	}
	return newChain(name, &x509.Certificate{
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	})
}

func newChain(name string, below *x509.Certificate) (*chain, error) {
	root := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	for n, template := range []*x509.Certificate{root, below} {
		template.SerialNumber = big.NewInt(int64(n) + 1)
		template.Subject = pkix.Name{Organization: []string{"assay"}, CommonName: fmt.Sprintf("%s, %d", name, n)}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &chain{}
	if c.root, err = issue(root, root, rootKey, rootKey); err != nil {
		return nil, err
	}
	if c.below, err = issue(below, c.root, key, rootKey); err != nil {
		return nil, err
	}
	for _, certificate := range []*x509.Certificate{c.below, c.root} {
		c.certificates = append(c.certificates, encode("CERTIFICATE", certificate.Raw)...)
	}
	c.key, err = encodeKey(key)
	return c, err
}

func issue(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// logKey is that of Rekor v2: Ed25519, as the public-good instance's.
type logKey struct {
	public  ed25519.PublicKey
	key     []byte // PEM
	encoded []byte // PEM of the public key
}

func newLogKey() (*logKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	key, err := encodeKey(private)
	return &logKey{public: public, key: key, encoded: encode("PUBLIC KEY", der)}, err
}

// id is that of a log of that name: the hash of its name, an octet for Ed25519, and its key (C2SP
// signed-note).
func (k *logKey) id(name string) []byte {
	sum := sha256.Sum256(append([]byte(name+"\n\x01"), k.public...))
	return sum[:]
}

func encodeKey(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return encode("PRIVATE KEY", der), err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
