package sigstore

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// signPredicateType marks a statement that says no more than "signed": the form
// in which cosign 3 writes an image signature.
const signPredicateType = "https://sigstore.dev/cosign/sign/v1"

// bundle verifies one Sigstore bundle (protobuf-specs, Bundle v0.1 to v0.3)
// about the image digest. What an image signature is, and what an attestation,
// is for the callers to tell by the predicate type.
func (c *Check) bundle(layer Layer, digest v1.Hash) (*Signature, *Refusal) {
	entity := &bundle.Bundle{}
	if err := entity.UnmarshalJSON(layer.Content); err != nil {
		return nil, refuse(Malformed, "bundle: %v", err)
	}
	raw, err := hex.DecodeString(digest.Hex)
	if err != nil {
		return nil, refuse(Malformed, "digest: %v", err)
	}
	trusted := c.bundleTrust(entity)
	verifier, err := verify.NewVerifier(trusted, c.bundleDemand()...)
	if err != nil {
		return nil, refuse(Unsupported, "%v", err)
	}
	accepted, err := c.bundlePolicy()
	if err != nil {
		return nil, refuse(Unsupported, "%v", err)
	}
	policy := verify.NewPolicy(verify.WithArtifactDigest(digest.Algorithm, raw), accepted...)
	result, err := verifier.Verify(entity, policy)
	if err != nil {
		return nil, refuse(c.bundleCode(entity, trusted, err), "%v", err)
	}
	sum := contentHash(layer.Content)
	out := &Signature{ID: sum, Format: FormatBundle, Weaker: c.demand.weaker(c.key == nil)}
	if refusal := c.bundleFacts(entity, trusted, result, out); refusal != nil {
		return nil, refusal
	}
	return out, c.bundleStatement(entity, digest, out)
}

// judgedNow reports whether only the clock can say that the certificate is valid.
func (c *Check) judgedNow() bool { return c.key == nil && c.demand.NoLog && !c.demand.Timestamp }

// bundleTrust is the trust material, at the check's own clock where the clock
// decides. A bundle before v0.3 may bring a chain along.
func (c *Check) bundleTrust(entity *bundle.Bundle) *composed {
	var along []*x509.Certificate
	if brought := entity.GetVerificationMaterial().GetX509CertificateChain().GetCertificates(); c.ca != nil && len(brought) > 1 {
		for _, der := range brought[1:min(len(brought), trust.MostAlong+1)] {
			if certificate, err := x509.ParseCertificate(der.GetRawBytes()); err == nil {
				along = append(along, certificate)
			}
		}
	}
	trusted := *c.along(along)
	if c.judgedNow() {
		trusted.now = &c.now
	}
	return &trusted
}

func (c *Check) bundleDemand() []verify.VerifierOption {
	// The statement is read by our own rules, so sigstore-go need not.
	out := []verify.VerifierOption{verify.WithoutStatementPredicate()}
	if !c.demand.NoSCT {
		out = append(out, verify.WithSignedCertificateTimestamps(1))
	}
	if !c.demand.NoLog {
		out = append(out, verify.WithTransparencyLog(1))
	}
	switch {
	case c.demand.Timestamp:
		out = append(out, verify.WithSignedTimestamps(1))
	case c.key != nil:
		out = append(out, verify.WithNoObserverTimestamps())
	case c.demand.NoLog:
		out = append(out, verify.WithCurrentTime())
	default:
		// The time of the entry or, for Rekor v2, of the timestamp beside it.
		out = append(out, verify.WithObserverTimestamps(1))
	}
	return out
}

func (c *Check) bundlePolicy() ([]verify.PolicyOption, error) {
	if c.key != nil {
		return []verify.PolicyOption{verify.WithKey()}, nil
	}
	var out []verify.PolicyOption
	for _, identity := range c.identities {
		subject, err := verify.NewSANMatcher(identity.Subject, identity.SubjectRegExp)
		if err != nil {
			return nil, err
		}
		issuer, err := verify.NewIssuerMatcher(identity.Issuer, identity.IssuerRegExp)
		if err != nil {
			return nil, err
		}
		accepted, err := verify.NewCertificateIdentity(subject, issuer, c.extensions)
		if err != nil {
			return nil, err
		}
		out = append(out, verify.WithCertificateIdentity(accepted))
	}
	return out, nil
}

// bundleFacts collects what verified.
func (c *Check) bundleFacts(entity *bundle.Bundle, trusted *composed, result *verify.VerificationResult, out *Signature) *Refusal {
	var times []time.Time
	for _, t := range result.VerifiedTimestamps {
		times = append(times, t.Timestamp)
		if t.Type == "TimestampAuthority" {
			out.Timestamps = append(out.Timestamps, TimestampFact{URI: t.URI, Time: t.Timestamp.UTC()})
		}
	}
	if refusal := c.bundleSigner(entity, trusted, result, out); refusal != nil {
		return refusal
	}
	if c.demand.NoLog {
		return nil
	}
	return c.logFacts(entity, times, out)
}

// bundleSigner describes the certificate, if the bundle was signed by one.
func (c *Check) bundleSigner(entity *bundle.Bundle, trusted *composed, result *verify.VerificationResult, out *Signature) *Refusal {
	if result.Signature.Certificate == nil {
		return nil
	}
	content, err := entity.VerificationContent()
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	if c.judgedNow() {
		out.ValidUntil = c.validUntil(content.Certificate(), trusted)
	}
	if err := out.summarize(*result.Signature.Certificate); err != nil {
		return refuse(Malformed, "%v", err)
	}
	return nil
}

// logFacts collects the entries that verified, and holds the log's keys to their
// validity windows: sigstore-go does so for signed entry timestamps only, not
// for entries that have nothing but an inclusion proof.
func (c *Check) logFacts(entity *bundle.Bundle, times []time.Time, out *Signature) *Refusal {
	entries, err := entity.TlogEntries()
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	logs := c.trust.RekorLogs()
	for _, entry := range entries {
		id := hex.EncodeToString([]byte(entry.LogKeyID()))
		log, ok := logs[id]
		if !ok {
			continue
		}
		// sigstore-go passes over an entry with a wrong promise as long as there is
		// another that verifies, and does not say which it passed over.
		if len(entries) > 1 && entry.HasInclusionPromise() && tlog.VerifySET(entry, logs) != nil {
			continue
		}
		if until, ok := c.windowHolds(log, entry, times); ok {
			out.Log = append(out.Log, LogFact{LogID: id, Index: provedIndex(entry), IntegratedTime: integratedTime(entry)})
			if !until.IsZero() && (out.ValidUntil.IsZero() || until.Before(out.ValidUntil)) {
				out.ValidUntil = until
			}
		}
	}
	if len(out.Log) == 0 {
		return refuse(TLog, "transparency log public key not valid when the entry was made")
	}
	return nil
}

func integratedTime(entry *tlog.Entry) time.Time {
	if entry.HasInclusionPromise() {
		return entry.IntegratedTime().UTC()
	}
	return time.Time{}
}

// provedIndex is the index of an entry, -1 when nothing that verified says it: the
// promise covers the one, the proof of a Rekor v1 log only the other.
func provedIndex(entry *tlog.Entry) int64 {
	if entry.HasInclusionPromise() || entry.LogIndex() == entry.TransparencyLogEntry().GetInclusionProof().GetLogIndex() {
		return entry.LogIndex()
	}
	return -1
}

// windowHolds reports whether the log's key was valid at every time known of the
// entry. Of the entry of a Rekor v2 log beside a key's signature no time need be
// known: then the key has to be valid now, and until says how long it is.
func (c *Check) windowHolds(log *root.TransparencyLog, entry *tlog.Entry, times []time.Time) (until time.Time, ok bool) {
	if entry.HasInclusionPromise() {
		times = append([]time.Time{entry.IntegratedTime()}, times...)
	}
	if len(times) == 0 {
		times, until = []time.Time{c.now}, log.ValidityPeriodEnd
	}
	for _, t := range times {
		if t.Before(log.ValidityPeriodStart) {
			return until, false
		}
		if !log.ValidityPeriodEnd.IsZero() && t.After(log.ValidityPeriodEnd) {
			return until, false
		}
	}
	return until, true
}

// bundleStatement reads the statement of a DSSE bundle by our own rules, which
// are those of legacy attestations.
func (c *Check) bundleStatement(entity *bundle.Bundle, digest v1.Hash, out *Signature) *Refusal {
	content, err := entity.SignatureContent()
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	envelope := content.EnvelopeContent()
	if envelope == nil {
		return nil // a message signature: the digest itself was signed
	}
	return out.attest(envelope.RawEnvelope(), digest)
}

// bundleCode finds the code of sigstore-go's refusal. The library has one type
// for identities; the other steps it names in the text, which the tests pin.
func (c *Check) bundleCode(entity *bundle.Bundle, trusted *composed, err error) Code {
	var identity *verify.ErrNoMatchingCertificateIdentity
	if errors.As(err, &identity) {
		return IdentityMismatch
	}
	if strings.Contains(err.Error(), "failed to verify leaf certificate") {
		return leafCode(entity, trusted)
	}
	for _, step := range []struct {
		text string
		code Code
	}{
		{"integrated time outside certificate validity", Expired},
		{"failed to verify log inclusion", TLog},
		{"failed to verify timestamps", Timestamp},
		{"failed to verify signed certificate timestamp", UntrustedRoot},
		{"does not match any digest in statement", DigestMismatch},
		{"can't verify certificate identities", IdentityMismatch},
	} {
		if strings.Contains(err.Error(), step.text) {
			return step.code
		}
	}
	return Malformed
}

// leafCode says why a certificate did not verify at the time that counts: one
// that is trusted when it begins has expired since, as in the legacy format.
func leafCode(entity *bundle.Bundle, trusted *composed) Code {
	content, err := entity.VerificationContent()
	if err != nil || content.Certificate() == nil {
		return UntrustedRoot
	}
	leaf, always := content.Certificate(), *trusted
	always.now = nil
	if _, err := verify.VerifyLeafCertificate(leaf.NotBefore, leaf, &always); err != nil {
		return UntrustedRoot
	}
	return Expired
}
