package sigstore

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// The annotations in which cosign's first format keeps everything but the payload
// or the envelope, which are the content of the layer.
const (
	SignatureAnnotation   = "dev.cosignproject.cosign/signature"
	CertificateAnnotation = "dev.sigstore.cosign/certificate"
	ChainAnnotation       = "dev.sigstore.cosign/chain"
	EntryAnnotation       = "dev.sigstore.cosign/bundle"
	TimestampAnnotation   = "dev.sigstore.cosign/rfc3161timestamp"
)

// Annotations are those of the evidence.
func (e *Evidence) Annotations() (map[string]string, error) {
	made := map[string]string{SignatureAnnotation: ""} // an envelope holds its own
	if e.PayloadType == "" {
		made[SignatureAnnotation] = base64.StdEncoding.EncodeToString(e.Signature)
	}
	for n, certificate := range e.Verifier.chain {
		name := ChainAnnotation
		if n == 0 {
			name = CertificateAnnotation
		}
		made[name] += string(encodePEM("CERTIFICATE", certificate.Raw))
	}
	annotate := func(name string, value any) error {
		encoded, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("encode annotation %s: %w", name, err)
		}
		made[name] = string(encoded)
		return nil
	}
	if e.Timestamp != nil {
		if err := annotate(TimestampAnnotation, object{"SignedRFC3161Timestamp": e.Timestamp}); err != nil {
			return nil, err
		}
	}
	if e.Entry == nil {
		return made, nil
	}
	return made, annotate(EntryAnnotation, object{
		"SignedEntryTimestamp": e.Entry.GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload": entryPayload{
			Body:           e.Entry.GetCanonicalizedBody(),
			IntegratedTime: e.Entry.GetIntegratedTime(),
			LogID:          hex.EncodeToString(e.Entry.GetLogId().GetKeyId()),
			LogIndex:       e.Entry.GetLogIndex(),
		},
	})
}
