package sigstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// The annotations of a legacy layer, as cosign's SIGNATURE_SPEC names them.
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationBundle      = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// Layer is one entry of evidence: a layer of a .sig or .att manifest with its
// annotations, or a bundle, whose annotations do not count.
type Layer struct {
	Annotations map[string]string
	Content     []byte
	// Digest of the content and At, where it stands, are for explanations alone.
	Digest, At string
	// Missing is why the content could not be had, nil when it is here.
	Missing *Refusal
}

// legacyLayer is a layer whose annotations have been read. cosign's accessors
// panic on some contents (a log entry whose body is not a string, a blank
// certificate), so it is never handed an annotation that was not read here.
type legacyLayer struct {
	payload     []byte
	b64         string // empty for attestations: the envelope carries the signature
	signature   []byte
	certificate *x509.Certificate
	certPEM     []byte
	// along are certificates that came along. They are looked at where a policy
	// brings its own authority, and only lead up to it.
	along     []*x509.Certificate
	entry     *bundle.RekorBundle
	timestamp *bundle.RFC3161Timestamp
}

func readLayer(layer Layer, attestation bool) (*legacyLayer, *Refusal) {
	out := &legacyLayer{payload: layer.Content}
	if !attestation {
		out.b64 = layer.Annotations[annotationSignature]
		raw, err := base64.StdEncoding.Strict().DecodeString(out.b64)
		if err != nil || len(raw) == 0 {
			return nil, refuse(Malformed, "annotation %s: got %q, want a base64 signature", annotationSignature, shorten(out.b64))
		}
		out.signature = raw
	}
	if text, ok := layer.Annotations[annotationCertificate]; ok {
		certs, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(text))
		if err != nil || len(certs) == 0 {
			return nil, refuse(Malformed, "annotation %s: got %q, want a PEM certificate", annotationCertificate, shorten(text))
		}
		out.certificate = certs[0]
		if out.certPEM, err = cryptoutils.MarshalCertificateToPEM(certs[0]); err != nil {
			return nil, refuse(Malformed, "annotation %s: %v", annotationCertificate, err)
		}
	}
	if text, ok := layer.Annotations[annotationChain]; ok {
		// What cannot be read leads nowhere: no chain is demanded.
		out.along, _ = trust.ParseAlong([]byte(text))
	}
	if text, ok := layer.Annotations[annotationBundle]; ok {
		entry, err := readLogEntry(text)
		if err != nil {
			return nil, refuse(Malformed, "annotation %s: %v", annotationBundle, err)
		}
		out.entry = entry
	}
	if text, ok := layer.Annotations[annotationTimestamp]; ok {
		timestamp := &bundle.RFC3161Timestamp{}
		if err := json.Unmarshal([]byte(text), timestamp); err != nil || len(timestamp.SignedRFC3161Timestamp) == 0 {
			return nil, refuse(Malformed, "annotation %s: got %q, want a signed timestamp", annotationTimestamp, shorten(text))
		}
		out.timestamp = timestamp
	}
	return out, nil
}

func readLogEntry(text string) (*bundle.RekorBundle, error) {
	entry := &bundle.RekorBundle{}
	if err := json.Unmarshal([]byte(text), entry); err != nil {
		return nil, err
	}
	body, ok := entry.Payload.Body.(string)
	if !ok {
		return nil, fmt.Errorf("entry Payload.body: got %T, want a base64 string", entry.Payload.Body)
	}
	if _, err := base64.StdEncoding.DecodeString(body); err != nil {
		return nil, fmt.Errorf("entry Payload.body: %w", err)
	}
	if len(entry.SignedEntryTimestamp) == 0 {
		return nil, fmt.Errorf("entry SignedEntryTimestamp: got none")
	}
	return entry, nil
}

// oci gives the layer to cosign's functions, without its chain: who issued the
// certificate is for the trust root to say.
func (l *legacyLayer) oci() (oci.Signature, error) {
	var options []static.Option
	if l.entry != nil {
		options = append(options, static.WithBundle(l.entry))
	}
	if l.certificate != nil {
		options = append(options, static.WithCertChain(l.certPEM, nil))
	}
	return static.NewSignature(l.payload, l.b64, options...)
}

// id names a signature as policy-controller does: the hash of the raw signature
// and the certificate (IN-2). An attestation is named by its whole envelope.
func (l *legacyLayer) id() string {
	hash := sha256.New()
	hash.Write(l.timestamped())
	hash.Write(l.certPEM)
	return hex.EncodeToString(hash.Sum(nil))
}

// timestamped is what a timestamp authority signed: the raw signature, or for
// an attestation the whole envelope (cosign's legacy convention).
func (l *legacyLayer) timestamped() []byte {
	if l.b64 == "" {
		return l.payload
	}
	return l.signature
}

// shorten keeps a hostile value from filling a log.
func shorten(text string) string { return cut(text, 60) }
