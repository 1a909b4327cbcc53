package sigstore

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"

	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// Signer is a private key and the certificate that introduces it, if any.
// [CA.Issue] makes one with a certificate, [NewSigner] one without.
type Signer struct {
	key      *ecdsa.PrivateKey
	verifier Verifier
}

// NewSigner makes a signer with a key that no certificate is about.
func NewSigner() (*Signer, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	return newSigner(key)
}

// newSigner takes the chain leaf first; without one the key is bare.
func newSigner(key *ecdsa.PrivateKey, chain ...*x509.Certificate) (*Signer, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, verifier: Verifier{publicKey: der, chain: chain}}, nil
}

// PublicKey is the PEM of the signer's public key.
func (s *Signer) PublicKey() []byte { return encodePEM("PUBLIC KEY", s.verifier.publicKey) }

// Sign signs the payload in a DSSE envelope of the payload type or, when that is
// empty, the payload itself.
func (s *Signer) Sign(payloadType string, payload []byte) (*Evidence, error) {
	e := &Evidence{PayloadType: payloadType, Payload: payload, Verifier: s.verifier}
	var err error
	if e.Signature, err = signBytes(s.key, e.signed()); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return e, nil
}

// Verifier is the key that verifies a signature, with or without a certificate.
// The zero value is a key that has been lost.
type Verifier struct {
	publicKey []byte              // DER, SubjectPublicKeyInfo
	chain     []*x509.Certificate // leaf first, empty for a bare key
}

// certificate is the DER of the leaf, nil for a bare key.
func (v Verifier) certificate() []byte {
	if len(v.chain) == 0 {
		return nil
	}
	return v.chain[0].Raw
}

func (v Verifier) pem() []byte {
	if certificate := v.certificate(); certificate != nil {
		return encodePEM("CERTIFICATE", certificate)
	}
	return encodePEM("PUBLIC KEY", v.publicKey)
}

// hint is how a bundle names a bare key: cosign's, the hash of the key.
func (v Verifier) hint() string {
	sum := sha256.Sum256(v.publicKey)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Evidence is a signature with all that proves who made it and when.
type Evidence struct {
	// PayloadType is that of the envelope; without one it is empty.
	PayloadType string
	// Payload is what was signed, or what stands in the envelope.
	Payload   []byte
	Signature []byte
	Verifier  Verifier
	// Entry is the proof of a log, nil for none.
	Entry *rekorpb.TransparencyLogEntry
	// Timestamp is an RFC 3161 response, nil for none.
	Timestamp []byte
}

// signed is what the signature is over: the payload or, of an envelope, "PAE(type,
// body)" of DSSE v1.0.2.
func (e *Evidence) signed() []byte {
	if e.PayloadType == "" {
		return e.Payload
	}
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
}

// Envelope is the JSON of the DSSE envelope. Requires a PayloadType.
func (e *Evidence) Envelope() []byte {
	type signature struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	}
	// It cannot go wrong: there is nothing in it but strings and bytes.
	data, _ := json.Marshal(struct {
		PayloadType string      `json:"payloadType"`
		Payload     []byte      `json:"payload"`
		Signatures  []signature `json:"signatures"`
	}{e.PayloadType, e.Payload, []signature{{Sig: e.Signature}}})
	return data
}
