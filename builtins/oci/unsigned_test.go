package oci_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
)

// O11-1: unlike upstream with enable-oci11, a signature of cosign's older kind is
// read from its tag alone, never from the referrers, and so never the last one only.
func TestSignaturesAmongReferrersAreNotRead(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	f.referrer(t, "org/app", subject, simpleType, "a signature")
	c := newClient(t)
	signatures, err := c.Signatures(t.Context(), anonymous, ref, oci.Place{})
	mustBe(t, signatures, err)
	bundles, err := c.Bundles(t.Context(), anonymous, ref, oci.Place{})
	mustBe(t, bundles, err)
}

// O11-2, CFG-3: unlike upstream with enable-oci11, an envelope among the referrers
// that is no bundle is no evidence: nobody could verify it. There is no setting.
func TestUnsignedAttestationsAmongReferrersAreNoEvidence(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ref, subject := f.image(t, "org/app", "v1")
	const envelope = `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`
	for _, layerType := range []string{
		"application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json", "application/vnd.in-toto.provenance+dsse",
	} {
		f.referrer(t, "org/app", subject, layerType, envelope+layerType)
	}
	f.referrer(t, "org/app", subject, bundleType, "a bundle")
	c := newClient(t)
	attestations, err := c.Attestations(t.Context(), anonymous, ref, oci.Place{})
	mustBe(t, attestations, err)
	bundles, err := c.Bundles(t.Context(), anonymous, ref, oci.Place{})
	mustBe(t, bundles, err, "a bundle")
	if diff := cmp.Diff(bundleType, bundles.Layers[0].MediaType); diff != "" {
		t.Errorf("type (-want +got):\n%s", diff)
	}
}
