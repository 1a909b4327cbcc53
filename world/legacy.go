package world

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/assay-dev/assay/world/sigstore"
)

// Media types of the layers of cosign's legacy format.
const (
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType      = "application/vnd.dsse.envelope.v1+json"
)

// pushLegacy writes the tags sha256-HEX.sig and sha256-HEX.att of an image, with a
// prefix or none.
func (s *shelf) pushLegacy(prefix string, subject descriptor, all []evidence) error {
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
			if e.PayloadType == "" {
				signatures = append(signatures, made)
			} else {
				attestations = append(attestations, made)
			}
		}
	}
	tag := prefix + strings.Replace(subject.Digest, ":", "-", 1)
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
	annotations, err := e.Annotations()
	if err != nil {
		return layer{}, err
	}
	l := layer{mediaType: simpleSigningType, content: e.Payload, annotations: annotations}
	if e.PayloadType != "" {
		l.mediaType, l.content = envelopeType, e.Envelope()
		annotations["predicateType"] = e.claim.predicateType
	}
	if e.blankCertificate {
		annotations[sigstore.CertificateAnnotation] = " "
	}
	if e.entryNotAString {
		annotations[sigstore.EntryAnnotation], err = withoutString(annotations[sigstore.EntryAnnotation])
	}
	return l, err
}

// withoutString puts an object where the entry's body is a string.
func withoutString(entry string) (string, error) {
	var made struct {
		SignedEntryTimestamp string
		Payload              object
	}
	if err := json.Unmarshal([]byte(entry), &made); err != nil {
		return "", fmt.Errorf("decode annotation %s: %w", sigstore.EntryAnnotation, err)
	}
	made.Payload["body"] = object{}
	spoilt, err := json.Marshal(made)
	return string(spoilt), err
}
