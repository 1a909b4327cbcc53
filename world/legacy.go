package world

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations and media types of cosign's legacy format.
const (
	signatureAnnotation   = "dev.cosignproject.cosign/signature"
	certificateAnnotation = "dev.sigstore.cosign/certificate"
	chainAnnotation       = "dev.sigstore.cosign/chain"
	entryAnnotation       = "dev.sigstore.cosign/bundle"
	timestampAnnotation   = "dev.sigstore.cosign/rfc3161timestamp"

	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType      = "application/vnd.dsse.envelope.v1+json"
)

// pushLegacy writes the tags sha256-HEX.sig and sha256-HEX.att of an image.
func (s *shelf) pushLegacy(subject descriptor, all []evidence) error {
	signatures, attestations := []layer{}, []layer{}
	for _, e := range all {
		if e.format != Legacy {
			continue
		}
		made, err := e.layer()
		if err != nil {
			return err
		}
		for range e.copies {
			if e.claim.payloadType == "" {
				signatures = append(signatures, made)
			} else {
				attestations = append(attestations, made)
			}
		}
	}
	tag := strings.Replace(subject.Digest, ":", "-", 1)
	if err := s.pushLayers(tag+".sig", signatures); err != nil {
		return err
	}
	return s.pushLayers(tag+".att", attestations)
}

// layer is one blob of a manifest and how the manifest describes it.
type layer struct {
	mediaType   string
	content     []byte
	annotations map[string]string
}

// pushLayers writes a manifest of layers as cosign does: the configuration is
// that of an image, so that every registry takes it.
func (s *shelf) pushLayers(tag string, layers []layer) error {
	if len(layers) == 0 {
		return nil
	}
	m := manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	diffIDs := []string{}
	for _, l := range layers {
		d, err := s.pushBlob(l.mediaType, l.content)
		if err != nil {
			return err
		}
		d.Annotations = l.annotations
		m.Layers = append(m.Layers, d)
		diffIDs = append(diffIDs, d.Digest)
	}
	config, err := json.Marshal(object{
		"architecture": "", "os": "", "config": object{},
		"rootfs": object{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		return err
	}
	if m.Config, err = s.pushBlob(string(types.OCIConfigJSON), config); err != nil {
		return err
	}
	_, err = s.pushManifest(tag, m)
	return err
}

func (e evidence) layer() (layer, error) {
	l := layer{mediaType: simpleSigningType, content: e.payload}
	l.annotations = map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(e.signature)}
	if envelope := e.envelope(); envelope != nil {
		l.mediaType, l.content = envelopeType, envelope.encode()
		l.annotations[signatureAnnotation] = ""
		l.annotations["predicateType"] = e.claim.predicateType
	}
	if e.verifier.certificate != nil {
		l.annotations[certificateAnnotation] = string(e.verifier.pem())
		for _, c := range e.chain {
			l.annotations[chainAnnotation] += string(encodePEM("CERTIFICATE", c.Raw))
		}
	}
	if e.blankCertificate {
		l.annotations[certificateAnnotation] = " "
	}
	if e.timestamp != nil {
		if err := annotate(l, timestampAnnotation, object{"SignedRFC3161Timestamp": e.timestamp}); err != nil {
			return l, err
		}
	}
	if e.entry == nil {
		return l, nil
	}
	payload := entryPayload{
		Body:           base64.StdEncoding.EncodeToString(e.entry.GetCanonicalizedBody()),
		IntegratedTime: e.entry.GetIntegratedTime(),
		LogID:          hex.EncodeToString(e.entry.GetLogId().GetKeyId()),
		LogIndex:       e.entry.GetLogIndex(),
	}
	if e.entryNotAString {
		payload.Body = object{}
	}
	return l, annotate(l, entryAnnotation, object{
		"SignedEntryTimestamp": e.entry.GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload":              payload,
	})
}

func annotate(l layer, name string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode annotation %s: %w", name, err)
	}
	l.annotations[name] = string(encoded)
	return nil
}
