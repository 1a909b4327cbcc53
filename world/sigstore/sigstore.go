// Package sigstore is a Sigstore in memory, with real cryptography: a
// certificate authority as Fulcio is one, a certificate log, transparency logs
// of both generations of Rekor, an RFC 3161 timestamp authority, and the
// documents by which a verifier gets to know them.
//
//	s, err := sigstore.New(clock)
//	signer, err := s.CA.Issue(sigstore.Identity{Issuer: …, Subject: …}, clock, s.CTLog)
//	evidence, err := signer.Sign("application/vnd.in-toto+json", statement)
//	err = s.Rekor.Enter(evidence, sigstore.DSSE, clock)
//	evidence.Timestamp, err = s.TSA.Stamp(evidence.Signature, clock)
//	bundle, err := evidence.Bundle()
//
// Each step is one call, and what comes out of it is sound. Unsound evidence,
// which is what tests want most, is made by leaving a step out, by taking it to
// another Sigstore, or by changing the [Evidence] between two steps.
//
// Time is always given: nothing here reads the clock of the machine. The keys
// are new in every Sigstore and never leave it. It opens no connection and
// knows nothing of images: payloads are bytes. It is for tests, the demo and
// policy authors; no part of a decision may import it.
package sigstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"
)

// Sigstore is one set of authorities. Its logs grow with what enters them, so it
// is not for concurrent use; TrustedRoot and TrustRoot are.
type Sigstore struct {
	CA     *CA
	CTLog  *CTLog
	Rekor  *Rekor
	Rekor2 *Rekor2
	TSA    *TSA

	since time.Time // the start of everything's validity
}

// New makes the authorities, valid from a year before the clock.
func New(clock time.Time) (*Sigstore, error) {
	s := &Sigstore{since: clock.Add(-authorityAge)}
	var err error
	if s.CA, err = newCA(clock); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if s.CTLog, err = newCTLog(); err != nil {
		return nil, fmt.Errorf("certificate log: %w", err)
	}
	if s.Rekor, err = newRekor(); err != nil {
		return nil, fmt.Errorf("transparency log: %w", err)
	}
	if s.Rekor2, err = newRekor2(); err != nil {
		return nil, fmt.Errorf("transparency log: %w", err)
	}
	if s.TSA, err = newTSA(clock); err != nil {
		return nil, fmt.Errorf("timestamp authority: %w", err)
	}
	return s, nil
}

// logKey is the key of a log, and what verifiers call it.
type logKey struct {
	key       *ecdsa.PrivateKey
	publicKey []byte // DER, SubjectPublicKeyInfo
	// id is "the SHA-256 hash of the log's public key, calculated over the DER
	// encoding of the key represented as SubjectPublicKeyInfo" (RFC 6962, section
	// 3.2). Rekor v1 uses the same.
	id [sha256.Size]byte
}

func newLogKey() (logKey, error) {
	key, err := newKey()
	if err != nil {
		return logKey{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return logKey{key: key, publicKey: der, id: sha256.Sum256(der)}, err
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// signBytes is ECDSA with SHA-256, the signature of everything here but of
// Rekor v2's checkpoints.
func signBytes(key *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, key, digest[:])
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// object is JSON; encoding/json writes its keys in order.
type object = map[string]any

func hashObject(data []byte) object {
	sum := sha256.Sum256(data)
	return object{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
}
