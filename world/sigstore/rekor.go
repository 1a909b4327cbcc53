package sigstore

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// Kind is the kind of a Rekor v1 entry for an envelope. What has no envelope is a
// hashedrekord 0.0.1.
type Kind string

// The kinds; any other value is DSSE.
const (
	// DSSE is dsse 0.0.1.
	DSSE Kind = "dsse"
	// Intoto is intoto 0.0.2.
	Intoto Kind = "intoto"
)

// rekorOrigin is host and tree of the checkpoints. Verifiers tell Rekor v1 from
// v2 by the number at the end.
const (
	rekorHost   = "rekor.world.example"
	rekorOrigin = rekorHost + " - 2605736670972794746"
)

// Rekor is a Rekor v1 log: it promises inclusion by a signed entry timestamp,
// and proves it as well.
type Rekor struct {
	logKey
	tree tree
}

func newRekor() (*Rekor, error) {
	key, err := newLogKey()
	r := &Rekor{logKey: key}
	r.tree.add([]byte("genesis")) // so that the first proof has something to prove
	return r, err
}

// Enter logs the evidence as that kind and gives it the entry.
func (r *Rekor) Enter(e *Evidence, kind Kind, at time.Time) error {
	name, version, spec := kind.spec(e)
	// The fields are in the order of RFC 8785, so this is the canonical form.
	body, err := json.Marshal(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       any    `json:"spec"`
	}{version, name, spec})
	if err != nil {
		return fmt.Errorf("encode entry: %w", err)
	}
	index := r.tree.add(body)
	promise, err := r.promise(body, index, at)
	if err != nil {
		return err
	}
	checkpoint, err := r.tree.checkpoint(rekorOrigin, rekorHost, r.id[:],
		func(note []byte) ([]byte, error) { return signBytes(r.key, note) })
	if err != nil {
		return err
	}
	e.Entry = &rekorpb.TransparencyLogEntry{
		LogIndex:          index,
		LogId:             &common.LogId{KeyId: r.id[:]},
		KindVersion:       &rekorpb.KindVersion{Kind: name, Version: version},
		IntegratedTime:    at.Unix(),
		InclusionPromise:  &rekorpb.InclusionPromise{SignedEntryTimestamp: promise},
		InclusionProof:    r.tree.proof(index, checkpoint),
		CanonicalizedBody: body,
	}
	return nil
}

// promise is the signed entry timestamp, over the canonical JSON of the entry.
func (r *Rekor) promise(body []byte, index int64, at time.Time) ([]byte, error) {
	message, err := json.Marshal(entryPayload{
		Body:           body,
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
	Body           []byte `json:"body"`
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

// spec is the entry's kind, version and content, as Rekor v1 stores it.
func (k Kind) spec(e *Evidence) (name, version string, spec object) {
	switch {
	case e.PayloadType == "":
		return "hashedrekord", "0.0.1", object{
			"data":      object{"hash": hashObject(e.Payload)},
			"signature": object{"content": e.Signature, "publicKey": object{"content": e.Verifier.pem()}},
		}
	case k == Intoto:
		return "intoto", "0.0.2", object{"content": object{
			"envelope": object{
				"payloadType": e.PayloadType,
				// Rekor's encoding of text that is base64 already: base64 again.
				"signatures": []object{{
					"publicKey": e.Verifier.pem(),
					"sig":       []byte(base64.StdEncoding.EncodeToString(e.Signature)),
				}},
			},
			"hash":        hashObject(e.Envelope()),
			"payloadHash": hashObject(e.Payload),
		}}
	default:
		return "dsse", "0.0.1", object{
			"envelopeHash": hashObject(e.Envelope()),
			"payloadHash":  hashObject(e.Payload),
			"signatures":   []object{{"signature": e.Signature, "verifier": e.Verifier.pem()}},
		}
	}
}
