package sigstore

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// CTLog is a certificate transparency log, reduced to the promise that it gives:
// the signed certificate timestamp of RFC 6962, section 3.
type CTLog struct{ logKey }

func newCTLog() (*CTLog, error) {
	key, err := newLogKey()
	return &CTLog{key}, err
}

// The values of RFC 6962 that go into an SCT.
const (
	sctVersion1          = 0
	certificateTimestamp = 0
	precertificateEntry  = 1
	hashSHA256           = 4 // RFC 5246, section 7.4.1.4.1
	signatureECDSA       = 3
)

// promise is the certificate extension with the list of one SCT over tbs, the
// certificate without that extension.
func (l *CTLog) promise(tbs []byte, issuer *x509.Certificate, at time.Time) (pkix.Extension, error) {
	issuerKeyHash := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	millis := uint64(at.UnixMilli())

	// digitally-signed struct, RFC 6962, section 3.2.
	var signed cryptobyte.Builder
	signed.AddUint8(sctVersion1)
	signed.AddUint8(certificateTimestamp)
	signed.AddUint64(millis)
	signed.AddUint16(precertificateEntry)
	signed.AddBytes(issuerKeyHash[:])
	signed.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(tbs) })
	signed.AddUint16(0) // no CtExtensions
	message, err := signed.Bytes()
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encode SCT: %w", err)
	}
	signature, err := signBytes(l.key, message)
	if err != nil {
		return pkix.Extension{}, err
	}

	// SignedCertificateTimestampList, RFC 6962, section 3.3.
	var list cryptobyte.Builder
	list.AddUint16LengthPrefixed(func(list *cryptobyte.Builder) {
		list.AddUint16LengthPrefixed(func(sct *cryptobyte.Builder) {
			sct.AddUint8(sctVersion1)
			sct.AddBytes(l.id[:])
			sct.AddUint64(millis)
			sct.AddUint16(0)
			sct.AddUint8(hashSHA256)
			sct.AddUint8(signatureECDSA)
			sct.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(signature) })
		})
	})
	encoded, err := list.Bytes()
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encode SCT list: %w", err)
	}
	value, err := asn1.Marshal(encoded)
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}, err
}
