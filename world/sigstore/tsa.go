package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"
)

// TSA is an RFC 3161 timestamp authority.
type TSA struct {
	root, leaf *x509.Certificate
	key        *ecdsa.PrivateKey
}

func newTSA(clock time.Time) (*TSA, error) {
	root, rootKey, err := issueAuthority(clock, "world-tsa-root", nil, nil)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	// RFC 3161, section 2.3: the one extended key usage is timeStamping, and critical.
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return nil, err
	}
	leaf, err := sign(&x509.Certificate{
		Subject: pkix.Name{Organization: []string{"world"}, CommonName: "world-tsa"},
		// The token's CMS carries a signing time beside the timestamp's own. The
		// library takes it from the machine's clock, so any of them must do.
		NotBefore:       time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:        time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, root, key, rootKey)
	if err != nil {
		return nil, err
	}
	return &TSA{root: root, leaf: leaf, key: key}, nil
}

// Stamp is the timestamp response for data: a signature, or whatever else is to be
// proved to have existed.
func (t *TSA) Stamp(data []byte, at time.Time) ([]byte, error) {
	imprint := sha256.Sum256(data)
	token := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256,
		HashedMessage: imprint[:],
		Time:          at,
		Policy:        asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, // Sigstore's
	}
	response, err := token.CreateResponseWithOpts(t.leaf, t.key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("create timestamp: %w", err)
	}
	return response, nil
}
