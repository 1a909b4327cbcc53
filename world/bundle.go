package world

import (
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/assay-dev/assay/world/sigstore"
)

// createdAnnotation is OCI's; it sets the order of referrers.
const createdAnnotation = "org.opencontainers.image.created"

// pushBundles writes one referrer for each bundle, and where the registry has no
// referrers API the index that stands in for it.
func (s *shelf) pushBundles(subject descriptor, all []evidence, clock time.Time, way Referrers) error {
	referrers := []descriptor{}
	for _, e := range all {
		if e.format != Bundle {
			continue
		}
		content, err := e.Bundle()
		if err != nil {
			return err
		}
		for range e.copies {
			// Equal manifests would be one: each is a second younger than the last.
			created := clock.Add(time.Duration(len(referrers)) * time.Second)
			d, err := s.pushReferrer(subject, content, e.claim.referrer(created))
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

// referrer are cosign's annotations of the manifest around a bundle.
func (c claim) referrer(created time.Time) map[string]string {
	annotations := map[string]string{
		"dev.sigstore.bundle.content": "message-signature",
		createdAnnotation:             created.Format(time.RFC3339),
	}
	if c.payloadType != "" {
		annotations["dev.sigstore.bundle.content"] = "dsse-envelope"
		annotations["dev.sigstore.bundle.predicateType"] = c.predicateType
	}
	return annotations
}

func (s *shelf) pushReferrer(subject descriptor, content []byte, annotations map[string]string) (descriptor, error) {
	empty, err := s.pushBlob("application/vnd.oci.empty.v1+json", []byte("{}"))
	if err != nil {
		return descriptor{}, err
	}
	// cosign writes it here as well as into the manifest.
	empty.ArtifactType = sigstore.BundleType
	bundle, err := s.pushBlob(sigstore.BundleType, content)
	if err != nil {
		return descriptor{}, err
	}
	d, err := s.pushManifest("", manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: sigstore.BundleType,
		Config: empty, Layers: []descriptor{bundle}, Subject: &subject, Annotations: annotations,
	})
	d.ArtifactType, d.Annotations = sigstore.BundleType, annotations
	return d, err
}
