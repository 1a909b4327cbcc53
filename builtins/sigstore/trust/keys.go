package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/assay-dev/assay/rego/cip"
)

// FromKeys makes a root of the keys of a TrustRoot resource (TR-3). Upstream drops
// the validity windows of its keys (TR-9); here validFor counts where it is given.
func FromKeys(keys *cip.SigstoreKeys) (*Root, error) {
	material, err := materialOf(keys)
	if err != nil {
		return nil, fmt.Errorf("spec.sigstoreKeys.%w", err)
	}
	encoded, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	return newRoot(material, FormKeys, encoded), nil
}

func materialOf(keys *cip.SigstoreKeys) (root.TrustedMaterial, error) {
	var authorities []root.CertificateAuthority
	for i, ca := range keys.CertificateAuthorities {
		made, err := fulcio(ca)
		if err != nil {
			return nil, fmt.Errorf("certificateAuthorities[%d]: %w", i, err)
		}
		authorities = append(authorities, made...)
	}
	var timestamps []root.TimestampingAuthority
	for i, ca := range keys.TimestampAuthorities {
		made, err := timestampAuthority(ca)
		if err != nil {
			return nil, fmt.Errorf("timestampAuthorities[%d]: %w", i, err)
		}
		timestamps = append(timestamps, made)
	}
	tlogs, err := transparencyLogs("tLogs", keys.TLogs)
	if err != nil {
		return nil, err
	}
	ctlogs, err := transparencyLogs("ctLogs", keys.CTLogs)
	if err != nil {
		return nil, err
	}
	return root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, ctlogs, timestamps, tlogs)
}

// fulcio takes the self-signed certificates of the chain for roots and the rest
// for intermediates (KLS-4); without a self-signed one the last is the root.
func fulcio(ca cip.CertificateAuthority) ([]root.CertificateAuthority, error) {
	chain, err := cryptoutils.UnmarshalCertificatesFromPEM(ca.CertChain)
	if err != nil {
		return nil, fmt.Errorf("certChain: %w", err)
	}
	if len(chain) == 0 {
		return nil, errors.New("certChain: got no PEM certificates")
	}
	roots, rest := anchors(chain)
	start, end := window(ca.ValidFor)
	var out []root.CertificateAuthority
	for _, anchor := range roots {
		out = append(out, &root.FulcioCertificateAuthority{
			Root: anchor, Intermediates: rest, ValidityPeriodStart: start, ValidityPeriodEnd: end, URI: string(ca.URI),
		})
	}
	return out, nil
}

// anchors parts a chain in the certificates that are trusted and those that only
// lead to them. Requires that there is one.
func anchors(chain []*x509.Certificate) (roots, rest []*x509.Certificate) {
	for _, certificate := range chain {
		if bytes.Equal(certificate.RawSubject, certificate.RawIssuer) {
			roots = append(roots, certificate)
		} else {
			rest = append(rest, certificate)
		}
	}
	if len(roots) == 0 {
		roots, rest = rest[len(rest)-1:], rest[:len(rest)-1]
	}
	return roots, rest
}

func timestampAuthority(ca cip.CertificateAuthority) (root.TimestampingAuthority, error) {
	chain, err := cryptoutils.UnmarshalCertificatesFromPEM(ca.CertChain)
	if err != nil {
		return nil, fmt.Errorf("certChain: %w", err)
	}
	if len(chain) == 0 {
		return nil, errors.New("certChain: got no PEM certificates")
	}
	start, end := window(ca.ValidFor)
	out := &root.SigstoreTimestampingAuthority{URI: string(ca.URI), ValidityPeriodStart: start, ValidityPeriodEnd: end}
	for i, certificate := range chain {
		switch {
		case !certificate.IsCA && out.Leaf == nil && len(chain) > 1:
			out.Leaf = certificate
		case i == len(chain)-1:
			out.Root = certificate
		default:
			out.Intermediates = append(out.Intermediates, certificate)
		}
	}
	if out.Root == nil {
		return nil, fmt.Errorf("certChain: got no root, want it last")
	}
	return out, nil
}

func transparencyLogs(field string, logs []cip.TransparencyLog) (map[string]*root.TransparencyLog, error) {
	out := map[string]*root.TransparencyLog{}
	for i, log := range logs {
		key, err := cryptoutils.UnmarshalPEMToPublicKey(log.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("%s[%d].publicKey: %w", field, i, err)
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return nil, fmt.Errorf("%s[%d].publicKey: %w", field, i, err)
		}
		start, end := window(log.ValidFor)
		for _, id := range logIDs(key, der, string(log.BaseURL)) {
			out[hex.EncodeToString(id)] = &root.TransparencyLog{
				BaseURL: string(log.BaseURL), ID: id, PublicKey: key,
				HashFunc: crypto.SHA256, SignatureHashFunc: signatureHash(key),
				ValidityPeriodStart: start, ValidityPeriodEnd: end,
			}
		}
	}
	return out, nil
}

// logIDs are the names of a log: the hash of its key (RFC 6962, section 3.2),
// and for an Ed25519 key, which Rekor v2 uses, the one of a signed note with the
// log's host as its origin (C2SP signed-note).
func logIDs(key crypto.PublicKey, der []byte, baseURL string) [][]byte {
	byKey := sha256.Sum256(der)
	out := [][]byte{byKey[:]}
	raw, ok := key.(ed25519.PublicKey)
	if at, err := url.Parse(baseURL); ok && err == nil && at.Hostname() != "" {
		note := sha256.Sum256(append([]byte(at.Hostname()+"\n\x01"), raw...))
		out = append(out, note[:])
	}
	return out
}

// signatureHash is the hash with which a log of this key signs its checkpoints
// and promises (protobuf-specs, PublicKeyDetails).
func signatureHash(key crypto.PublicKey) crypto.Hash {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 384:
			return crypto.SHA384
		case 521:
			return crypto.SHA512
		}
	case ed25519.PublicKey:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// window is the validity of a key. An open start is the epoch: the zero time
// would mean "not set", which sigstore-go refuses.
func window(v *cip.Validity) (start, end time.Time) {
	start = time.Unix(0, 0)
	if v == nil {
		return start, end
	}
	if v.Start != nil {
		start = *v.Start
	}
	if v.End != nil {
		end = *v.End
	}
	return start, end
}
