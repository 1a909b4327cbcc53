package sigstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// BundleType is the media type of [Evidence.Bundle].
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Bundle is the Sigstore bundle v0.3 of the evidence: with its envelope or, when
// there is none, with a message signature, which leaves the payload out.
func (e *Evidence) Bundle() ([]byte, error) {
	b := &bundlepb.Bundle{MediaType: BundleType, VerificationMaterial: e.material()}
	if e.PayloadType == "" {
		sum := sha256.Sum256(e.Payload)
		b.Content = &bundlepb.Bundle_MessageSignature{MessageSignature: &common.MessageSignature{
			MessageDigest: &common.HashOutput{Algorithm: common.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     e.Signature,
		}}
	} else {
		b.Content = &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dsse.Envelope{
			PayloadType: e.PayloadType,
			Payload:     e.Payload,
			Signatures:  []*dsse.Signature{{Sig: e.Signature}},
		}}
	}
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	// protojson varies its white space on purpose.
	var compact bytes.Buffer
	err = json.Compact(&compact, loose)
	return compact.Bytes(), err
}

func (e *Evidence) material() *bundlepb.VerificationMaterial {
	m := &bundlepb.VerificationMaterial{}
	if certificate := e.Verifier.certificate(); certificate != nil {
		m.Content = &bundlepb.VerificationMaterial_Certificate{
			Certificate: &common.X509Certificate{RawBytes: certificate},
		}
	} else if e.Verifier.publicKey != nil {
		m.Content = &bundlepb.VerificationMaterial_PublicKey{
			PublicKey: &common.PublicKeyIdentifier{Hint: e.Verifier.hint()},
		}
	}
	if e.Entry != nil {
		m.TlogEntries = []*rekorpb.TransparencyLogEntry{e.Entry}
	}
	if e.Timestamp != nil {
		m.TimestampVerificationData = &bundlepb.TimestampVerificationData{
			Rfc3161Timestamps: []*common.RFC3161SignedTimestamp{{SignedTimestamp: e.Timestamp}},
		}
	}
	return m
}
