package sigstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/assay-dev/assay/builtins/sigstore/fulcio"
	"github.com/assay-dev/assay/builtins/sigstore/statement"
)

// The formats of evidence, as facts name them.
const (
	FormatLegacy = "legacy"
	FormatBundle = "bundle"
)

// Signature is what is known of one verified signature or attestation. Every
// field was covered by a signature that verified.
type Signature struct {
	// ID names the signature: sha256 in hex.
	ID string `json:"id"`
	// Subject and Issuer are the identity in the certificate, empty for keys.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	// Extensions are Fulcio's, by the names of its OID table.
	Extensions map[string]string `json:"extensions,omitempty"`
	// Log are the entries of transparency logs that were verified.
	Log []LogFact `json:"log,omitempty"`
	// Timestamps are the RFC 3161 timestamps that were verified.
	Timestamps []TimestampFact `json:"timestamps,omitempty"`
	// Format is legacy or bundle.
	Format string `json:"format"`
	// Weaker lists what the policy did not ask for; see [Demand].
	Weaker []string `json:"weaker,omitempty"`
	// PredicateType, Statement and Digest are set for attestations. Digest is that
	// of the statement as it was signed: sha256:….
	PredicateType string          `json:"predicate_type,omitempty"`
	Statement     json.RawMessage `json:"statement,omitempty"`
	Digest        string          `json:"digest,omitempty"`
	// ValidUntil is when this verdict could change by time alone; zero for never.
	ValidUntil time.Time `json:"-"`
}

// LogFact is one verified entry of a transparency log.
type LogFact struct {
	// LogID is the log's key ID in hex.
	LogID string `json:"log_id"`
	// Index of the entry in the log, -1 when nothing that was signed says it.
	Index int64 `json:"log_index"`
	// IntegratedTime is when the log promised the entry, zero for Rekor v2.
	IntegratedTime time.Time `json:"integrated_time,omitzero"`
}

// TimestampFact is one verified RFC 3161 timestamp.
type TimestampFact struct {
	URI  string    `json:"uri,omitempty"`
	Time time.Time `json:"time"`
}

func digestOf(content []byte) string { return "sha256:" + contentHash(content) }

func contentHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// describe takes the identity and the extensions from a certificate.
func (s *Signature) describe(leaf *x509.Certificate) error {
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return err
	}
	return s.summarize(summary)
}

func (s *Signature) summarize(summary certificate.Summary) error {
	s.Subject, s.Issuer = summary.SubjectAlternativeName, summary.Issuer
	var err error
	s.Extensions, err = fulcio.Extensions(summary.Extensions)
	return err
}

// attest takes the statement from a verified envelope, if it is about the image.
func (s *Signature) attest(envelope *dsse.Envelope, digest v1.Hash) *Refusal {
	said, err := statement.FromEnvelope(envelope)
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	if !said.Names(digest) {
		return refuse(DigestMismatch, "no matching subject digest found")
	}
	s.PredicateType, s.Statement, s.Digest = said.PredicateType, said.Raw, digestOf(said.Raw)
	return nil
}
