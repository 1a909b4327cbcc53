package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	sigdsse "github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/assay-dev/assay/builtins/sigstore/statement"
)

// legacy verifies one layer of a .sig manifest, or of an .att manifest when
// attestation is set, about the image digest.
//
// The order is cosign's: log entry, certificate, signature, claim, validity.
// Every step returns, so nothing that a layer lacks can skip one.
func (c *Check) legacy(layer Layer, digest v1.Hash, attestation bool) (*Signature, *Refusal) {
	l, refusal := readLayer(layer, attestation)
	if refusal != nil {
		return nil, refusal
	}
	sig, err := l.oci()
	if err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	out := &Signature{ID: l.id(), Format: FormatLegacy, Weaker: c.demand.weaker(c.key == nil)}
	times, refusal := c.legacyTimes(l, sig, out)
	if refusal != nil {
		return nil, refusal
	}
	if len(times) == 0 {
		times = []time.Time{c.now}
		if l.certificate != nil {
			out.ValidUntil = c.validUntil(l.certificate, c.along(l.along))
		}
	}
	verifier, refusal := c.legacySigner(l, times, out)
	if refusal != nil {
		return nil, refusal
	}
	if attestation {
		refusal = verifyEnvelope(verifier, l, digest, out)
	} else {
		refusal = verifyPayload(verifier, l, digest)
	}
	if refusal != nil {
		return nil, refusal
	}
	// A certificate beside a key is not asked for, but it must not contradict.
	if refusal := c.unexpired(l.certificate, times); refusal != nil {
		return nil, refusal
	}
	return out, nil
}

// legacyTimes verifies the log entry and the timestamp that the check demands
// and returns the times they vouch for; none when it demands neither.
func (c *Check) legacyTimes(l *legacyLayer, sig oci.Signature, out *Signature) ([]time.Time, *Refusal) {
	var times []time.Time
	if c.demand.Timestamp {
		if l.timestamp == nil {
			return nil, refuse(Timestamp, "no RFC 3161 timestamp beside the signature, the policy wants one")
		}
		verified, err := verify.VerifySignedTimestampWithThreshold(&timestampEntity{legacyLayer: l}, c.trust, 1)
		if err != nil {
			return nil, refuse(Timestamp, "unable to verify RFC3161 timestamp bundle: %v", err)
		}
		for _, t := range verified {
			times = append(times, t.Time)
			out.Timestamps = append(out.Timestamps, TimestampFact{URI: t.URI, Time: t.Time.UTC()})
		}
	}
	if c.demand.NoLog {
		return times, nil
	}
	if l.entry == nil {
		return nil, refuse(TLog, "offline verification failed") // cosign's text for no entry
	}
	options := &cosign.CheckOpts{TrustedMaterial: c.trust, SigVerifier: c.key, Offline: true}
	if verified, err := cosign.VerifyBundle(sig, options); err != nil {
		return nil, refuse(TLog, "error verifying bundle: %v", err)
	} else if !verified {
		return nil, refuse(TLog, "offline verification failed")
	}
	integrated := time.Unix(l.entry.Payload.IntegratedTime, 0)
	out.Log = append(out.Log, LogFact{
		LogID: l.entry.Payload.LogID, Index: l.entry.Payload.LogIndex, IntegratedTime: integrated.UTC(),
	})
	return append(times, integrated), nil
}

// legacySigner verifies whose key signed and returns that key.
func (c *Check) legacySigner(l *legacyLayer, times []time.Time, out *Signature) (signature.Verifier, *Refusal) {
	if c.key != nil {
		return c.key, nil
	}
	if l.certificate == nil {
		return nil, refuse(Malformed, "no certificate found on signature")
	}
	chains, refusal := c.chain(l.certificate, c.along(l.along), times)
	if refusal != nil {
		return nil, refusal
	}
	name, refusal := c.identity(l.certificate)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.sct(l.certificate, chains); refusal != nil {
		return nil, refusal
	}
	if err := out.describe(l.certificate); err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	out.Subject = name
	// The legacy format signs SHA-256 digests, whatever the key.
	verifier, err := signature.LoadVerifier(l.certificate.PublicKey, crypto.SHA256)
	if err != nil {
		return nil, refuse(Malformed, "invalid certificate found on signature: %v", err)
	}
	return verifier, nil
}

// chain verifies the certificate up to a trusted authority, at every time that
// was vouched for: the validity windows of the authority and of every
// certificate of the chain count.
func (c *Check) chain(leaf *x509.Certificate, trusted *composed, times []time.Time) (chains [][]*x509.Certificate, _ *Refusal) {
	// Fulcio writes subjects of some issuers as an OtherName, which crypto/x509
	// does not know; cosign and sigstore-go drop it from the unhandled ones too.
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, cryptoutils.SANOID.Equal)
	for _, t := range times {
		// cosign verifies legacy chains when the certificate begins, and its
		// end against the time that was vouched for (unexpired); so do we when
		// the certificate was not valid then, for the better message.
		if t.After(leaf.NotAfter) || t.Before(leaf.NotBefore) {
			t = leaf.NotBefore
		}
		var err error
		if chains, err = verify.VerifyLeafCertificate(t, leaf, trusted); err != nil {
			return nil, refuse(UntrustedRoot, "cert verification failed: %v", err)
		}
	}
	return chains, nil
}

// identity holds the certificate to the identities of the policy and says which
// of its names matched: of a certificate with several, the facts show that one.
func (c *Check) identity(leaf *x509.Certificate) (name string, _ *Refusal) {
	options := &cosign.CheckOpts{
		Identities:                   c.identities,
		CertGithubWorkflowTrigger:    c.extensions.GithubWorkflowTrigger,
		CertGithubWorkflowSha:        c.extensions.GithubWorkflowSHA,
		CertGithubWorkflowName:       c.extensions.GithubWorkflowName,
		CertGithubWorkflowRepository: c.extensions.GithubWorkflowRepository,
		CertGithubWorkflowRef:        c.extensions.GithubWorkflowRef,
	}
	if err := cosign.CheckCertificatePolicy(leaf, options); err != nil {
		return "", refuse(IdentityMismatch, "%v", err)
	}
	for _, name := range cryptoutils.GetSubjectAlternateNames(leaf) {
		only := *leaf
		only.EmailAddresses, only.URIs, only.DNSNames, only.IPAddresses, only.Extensions = []string{name}, nil, nil, nil, withoutNames(leaf)
		if cosign.CheckCertificatePolicy(&only, options) == nil {
			return name, nil
		}
	}
	return "", refuse(IdentityMismatch, "none of the names of the certificate matches alone")
}

// withoutNames are the extensions but for the names, which cosign reads too.
func withoutNames(leaf *x509.Certificate) []pkix.Extension {
	return slices.DeleteFunc(slices.Clone(leaf.Extensions), func(e pkix.Extension) bool { return e.Id.Equal(cryptoutils.SANOID) })
}

func (c *Check) sct(leaf *x509.Certificate, chains [][]*x509.Certificate) *Refusal {
	if c.demand.NoSCT {
		return nil
	}
	if contains, err := cosign.ContainsSCT(leaf.Raw); err != nil {
		return refuse(Malformed, "%v", err)
	} else if !contains {
		return refuse(UntrustedRoot, "certificate does not include required embedded SCT and no detached SCT was set")
	}
	if err := verify.VerifySignedCertificateTimestamp(chains, 1, c.trust); err != nil {
		return refuse(UntrustedRoot, "%v", err)
	}
	return nil
}

func (c *Check) unexpired(leaf *x509.Certificate, times []time.Time) *Refusal {
	if leaf == nil {
		return nil
	}
	for _, t := range times {
		err := cosign.CheckExpiry(leaf, t)
		if err == nil {
			continue
		}
		if t.Equal(c.now) && c.demand.NoLog && !c.demand.Timestamp {
			err = errors.New("expected a signed timestamp to verify an expired certificate")
		}
		return refuse(Expired, "%v", err)
	}
	return nil
}

// verifyPayload verifies the signature over a simple signing payload, and that
// the payload names the image.
func verifyPayload(verifier signature.Verifier, l *legacyLayer, digest v1.Hash) *Refusal {
	if err := verifier.VerifySignature(bytes.NewReader(l.signature), bytes.NewReader(l.payload)); err != nil {
		return refuse(Malformed, "%v", err)
	}
	claimed, err := statement.ClaimedDigest(l.payload)
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	if claimed != digest.String() {
		return refuse(DigestMismatch, "invalid or missing digest in claim: %s", shorten(claimed))
	}
	return nil
}

// verifyEnvelope verifies the signature of a DSSE envelope, and that the
// statement in it is about the image. Nothing in it is read before it verified.
func verifyEnvelope(verifier signature.Verifier, l *legacyLayer, digest v1.Hash, out *Signature) *Refusal {
	envelope := &dsse.Envelope{}
	if err := json.Unmarshal(l.payload, envelope); err != nil {
		return refuse(Malformed, "envelope: %v", err)
	}
	envelopes, err := dsse.NewEnvelopeVerifier(&sigdsse.VerifierAdapter{SignatureVerifier: verifier})
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	if _, err := envelopes.Verify(context.Background(), envelope); err != nil {
		return refuse(Malformed, "%v", err)
	}
	return out.attest(envelope, digest)
}

// timestampEntity shows a layer to sigstore-go as far as its timestamps go.
type timestampEntity struct {
	verify.BaseSignedEntity
	*legacyLayer
}

func (e *timestampEntity) Timestamps() ([][]byte, error) {
	return [][]byte{e.timestamp.SignedRFC3161Timestamp}, nil
}

func (e *timestampEntity) SignatureContent() (verify.SignatureContent, error) {
	return signatureBytes(e.timestamped()), nil
}

// signatureBytes is a signature alone, as timestamp authorities see it.
type signatureBytes []byte

func (s signatureBytes) Signature() []byte                                       { return s }
func (s signatureBytes) EnvelopeContent() verify.EnvelopeContent                 { return nil }
func (s signatureBytes) MessageSignatureContent() verify.MessageSignatureContent { return nil }
