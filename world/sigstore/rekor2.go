package sigstore

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// rekor2Host is the origin of the checkpoints, which verifiers take from the
// base URL in the trusted root.
const rekor2Host = "rekor2.world.example"

// Rekor2 is a Rekor v2 log (tiles): it proves inclusion and says no time. Its
// key is Ed25519, as the public-good instance's is.
type Rekor2 struct {
	key       ed25519.PrivateKey
	publicKey []byte // DER, SubjectPublicKeyInfo
	id        [sha256.Size]byte
	tree      tree
}

func newRekor2() (*Rekor2, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	// C2SP signed-note: SHA-256(name || 0x0A || signature type || public key),
	// with 0x01 for Ed25519.
	id := sha256.Sum256(append([]byte(rekor2Host+"\n\x01"), public...))
	der, err := x509.MarshalPKIXPublicKey(public)
	r := &Rekor2{key: key, publicKey: der, id: id}
	r.tree.add([]byte("genesis"))
	return r, err
}

// Enter logs the evidence and gives it the entry. Whatever kind is asked for, it
// is hashedrekord 0.0.2, envelopes by the digest of their PAE: the one kind that
// verifiers can rebuild from a bundle.
func (r *Rekor2) Enter(e *Evidence, _ Kind, _ time.Time) error {
	digest := sha256.Sum256(e.signed())
	key := object{"keyDetails": common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256.String()}
	if certificate := e.Verifier.certificate(); certificate != nil {
		key["x509Certificate"] = object{"rawBytes": certificate}
	} else {
		key["publicKey"] = object{"rawBytes": e.Verifier.publicKey}
	}
	body, err := json.Marshal(object{
		"apiVersion": "0.0.2",
		"kind":       "hashedrekord",
		"spec": object{"hashedRekordV002": object{
			"data":      object{"algorithm": "SHA2_256", "digest": digest[:]},
			"signature": object{"content": e.Signature, "verifier": key},
		}},
	})
	if err != nil {
		return fmt.Errorf("encode entry: %w", err)
	}
	index := r.tree.add(body)
	checkpoint, err := r.tree.checkpoint(rekor2Host, rekor2Host, r.id[:],
		func(note []byte) ([]byte, error) { return ed25519.Sign(r.key, note), nil })
	if err != nil {
		return err
	}
	e.Entry = &rekorpb.TransparencyLogEntry{
		LogIndex:          index,
		LogId:             &common.LogId{KeyId: r.id[:]},
		KindVersion:       &rekorpb.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof:    r.tree.proof(index, checkpoint),
		CanonicalizedBody: body,
	}
	return nil
}
