package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	bundleType        = "application/vnd.dev.sigstore.bundle.v0.3+json"
	createdAnnotation = "org.opencontainers.image.created"
)

// pushBundles writes one referrer for each bundle, and where the registry has no
// referrers API the index that stands in for it.
func (s *shelf) pushBundles(subject descriptor, all []evidence, clock time.Time, way Referrers) error {
	referrers := []descriptor{}
	for _, e := range all {
		if e.format != Bundle {
			continue
		}
		content, err := e.bundle()
		if err != nil {
			return err
		}
		for range e.copies {
			// Equal manifests would be one: each is a second younger than the last.
			created := clock.Add(time.Duration(len(referrers)) * time.Second)
			d, err := s.pushReferrer(subject, content, e.claim.predicateType, created)
			if err != nil {
				return err
			}
			referrers = append(referrers, d)
		}
	}
	if way != ReferrersTag || len(referrers) == 0 {
		return nil
	}
	tag := strings.Replace(subject.Digest, ":", "-", 1)
	_, err := s.pushManifest(tag, manifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: referrers,
	})
	return err
}

func (s *shelf) pushReferrer(subject descriptor, content []byte, predicateType string, created time.Time) (descriptor, error) {
	empty, err := s.pushBlob("application/vnd.oci.empty.v1+json", []byte("{}"))
	if err != nil {
		return descriptor{}, err
	}
	// cosign writes it here as well as into the manifest.
	empty.ArtifactType = bundleType
	bundle, err := s.pushBlob(bundleType, content)
	if err != nil {
		return descriptor{}, err
	}
	annotations := map[string]string{
		"dev.sigstore.bundle.content":       "dsse-envelope",
		"dev.sigstore.bundle.predicateType": predicateType,
		createdAnnotation:                   created.Format(time.RFC3339),
	}
	d, err := s.pushManifest("", manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: bundleType,
		Config: empty, Layers: []descriptor{bundle}, Subject: &subject, Annotations: annotations,
	})
	d.ArtifactType, d.Annotations = bundleType, annotations
	return d, err
}

// bundle is the Sigstore bundle v0.3 of the evidence.
func (e evidence) bundle() ([]byte, error) {
	material := &bundlepb.VerificationMaterial{}
	switch {
	case e.verifier.certificate != nil:
		material.Content = &bundlepb.VerificationMaterial_Certificate{
			Certificate: &common.X509Certificate{RawBytes: e.verifier.certificate},
		}
	case e.verifier.publicKey != nil:
		material.Content = &bundlepb.VerificationMaterial_PublicKey{
			PublicKey: &common.PublicKeyIdentifier{Hint: e.verifier.keyHint()},
		}
	}
	if e.entry != nil {
		material.TlogEntries = []*rekorpb.TransparencyLogEntry{e.entry}
	}
	if e.timestamp != nil {
		material.TimestampVerificationData = &bundlepb.TimestampVerificationData{
			Rfc3161Timestamps: []*common.RFC3161SignedTimestamp{{SignedTimestamp: e.timestamp}},
		}
	}
	loose, err := protojson.Marshal(&bundlepb.Bundle{
		MediaType:            bundleType,
		VerificationMaterial: material,
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dsse.Envelope{
			PayloadType: e.claim.payloadType,
			Payload:     e.payload,
			Signatures:  []*dsse.Signature{{Sig: e.signature}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	// protojson varies its white space on purpose.
	var compact bytes.Buffer
	err = json.Compact(&compact, loose)
	return compact.Bytes(), err
}
