package world

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// transparencyLog is what both generations of Rekor have in common.
type transparencyLog interface {
	// enter logs what was signed and proves it.
	enter(s submission, at time.Time) (*rekorpb.TransparencyLogEntry, error)
}

var (
	_ transparencyLog = (*rekor)(nil)
	_ transparencyLog = (*rekor2)(nil)
)

// submission is a signature on its way into a log.
type submission struct {
	signed    []byte // what the signature is over: a payload, or the PAE of an envelope
	signature []byte
	verifier  verifier
	envelope  *envelope // nil for a signature over a payload
	entry     Entry     // for an envelope
}

// verifier is the key that verifies a signature: a certificate's, or a bare one.
type verifier struct {
	certificate []byte // DER, nil for a bare key
	publicKey   []byte // DER, SubjectPublicKeyInfo
}

func (v verifier) pem() []byte {
	if v.certificate != nil {
		return encodePEM("CERTIFICATE", v.certificate)
	}
	return encodePEM("PUBLIC KEY", v.publicKey)
}

// rekorOrigin is host and tree of the checkpoints. Verifiers tell Rekor v1 from
// v2 by the number at the end.
const (
	rekorHost   = "rekor.world.example"
	rekorOrigin = rekorHost + " - 2605736670972794746"
)

// rekor is a Rekor v1 log: it promises inclusion by a signed entry timestamp,
// and proves it as well.
type rekor struct {
	key  *ecdsa.PrivateKey
	id   [sha256.Size]byte
	tree tree
}

func newRekor() (*rekor, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	r := &rekor{key: key, id: id}
	r.tree.add([]byte("genesis")) // so that the first proof has something to prove
	return r, nil
}

func (r *rekor) enter(s submission, at time.Time) (*rekorpb.TransparencyLogEntry, error) {
	kind, version, spec := rekorSpec(s)
	// The fields are in the order of RFC 8785, so this is the canonical form.
	body, err := json.Marshal(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       any    `json:"spec"`
	}{version, kind, spec})
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	index := r.tree.add(body)
	promise, err := r.promise(body, index, at)
	if err != nil {
		return nil, err
	}
	checkpoint, err := r.tree.checkpoint(rekorOrigin, rekorHost, r.id[:],
		func(note []byte) ([]byte, error) { return signBytes(r.key, note) })
	if err != nil {
		return nil, err
	}
	return &rekorpb.TransparencyLogEntry{
		LogIndex:          index,
		LogId:             &common.LogId{KeyId: r.id[:]},
		KindVersion:       &rekorpb.KindVersion{Kind: kind, Version: version},
		IntegratedTime:    at.Unix(),
		InclusionPromise:  &rekorpb.InclusionPromise{SignedEntryTimestamp: promise},
		InclusionProof:    r.tree.proof(index, checkpoint),
		CanonicalizedBody: body,
	}, nil
}

// promise is the signed entry timestamp, over the canonical JSON of the entry.
func (r *rekor) promise(body []byte, index int64, at time.Time) ([]byte, error) {
	message, err := json.Marshal(entryPayload{
		Body:           base64.StdEncoding.EncodeToString(body),
		IntegratedTime: at.Unix(),
		LogID:          hex.EncodeToString(r.id[:]),
		LogIndex:       index,
	})
	if err != nil {
		return nil, err
	}
	return signBytes(r.key, message)
}

// entryPayload is what a signed entry timestamp is over, and what cosign keeps
// in its bundle annotation. Its fields are in the order of RFC 8785.
type entryPayload struct {
	Body           any    `json:"body"` // base64
	IntegratedTime int64  `json:"integratedTime"`
	LogID          string `json:"logID"`
	LogIndex       int64  `json:"logIndex"`
}

func (t *tree) proof(index int64, checkpoint string) *rekorpb.InclusionProof {
	return &rekorpb.InclusionProof{
		LogIndex:   index,
		RootHash:   rootHash(t.leaves),
		TreeSize:   int64(len(t.leaves)),
		Hashes:     auditPath(int(index), t.leaves),
		Checkpoint: &rekorpb.Checkpoint{Envelope: checkpoint},
	}
}

// object is JSON; encoding/json writes its keys in order.
type object = map[string]any

// rekorSpec is the entry's kind, version and content, as Rekor v1 stores it.
func rekorSpec(s submission) (kind, version string, spec object) {
	switch {
	case s.envelope == nil:
		return "hashedrekord", "0.0.1", object{
			"data":      object{"hash": hashObject(s.signed)},
			"signature": object{"content": s.signature, "publicKey": object{"content": s.verifier.pem()}},
		}
	case s.entry == Intoto:
		return "intoto", "0.0.2", object{"content": object{
			"envelope": object{
				"payloadType": s.envelope.PayloadType,
				// Rekor's encoding of text that is base64 already: base64 again.
				"signatures": []object{{
					"publicKey": s.verifier.pem(),
					"sig":       []byte(base64.StdEncoding.EncodeToString(s.signature)),
				}},
			},
			"hash":        hashObject(s.envelope.encode()),
			"payloadHash": hashObject(s.envelope.Payload),
		}}
	default:
		return "dsse", "0.0.1", object{
			"envelopeHash": hashObject(s.envelope.encode()),
			"payloadHash":  hashObject(s.envelope.Payload),
			"signatures":   []object{{"signature": s.signature, "verifier": s.verifier.pem()}},
		}
	}
}

func hashObject(data []byte) object {
	sum := sha256.Sum256(data)
	return object{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
}
