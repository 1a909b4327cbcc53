package sigstore

import (
	"cmp"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/builtins/sigstore/statement"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
)

// A miss is told after the refusal and changes nothing about it: the evidence is
// read once more, for what the check that it failed had got and wanted.

// refused is one layer that a check refused.
type refused struct {
	layer       Layer
	format      string
	attestation bool
	digest      v1.Hash
	refusal     *Refusal
}

// missed tells the misses of what was refused, the nearest first.
func (c *Check) missed(all []refused) []miss.Miss {
	identities := make([]miss.Identity, len(c.identities))
	for i, identity := range c.identities {
		identities[i] = miss.Identity{
			Issuer: identity.Issuer, IssuerRegExp: identity.IssuerRegExp,
			Subject: identity.Subject, SubjectRegExp: identity.SubjectRegExp,
		}
	}
	wanted := miss.Want(identities)
	out := make([]miss.Miss, 0, len(all))
	for _, r := range all {
		out = append(out, c.told(r, wanted))
	}
	return miss.Nearest(out)
}

// told is the miss of one piece. What a library does with hostile content costs the
// explanation, and nothing else.
func (c *Check) told(r refused, wanted miss.Wanted) (out miss.Miss) {
	out = miss.Miss{
		Digest: r.layer.Digest, Format: r.format, At: r.layer.At,
		Code: string(r.refusal.Code), Message: r.refusal.Message, Rank: r.refusal.Code.rank(),
	}
	defer func() { _ = recover() }()
	p := pieceOf(r)
	out.Differs, out.Near = c.differs(r, p, wanted)
	if !r.attestation {
		return out
	}
	if said := p.statement(); said != nil {
		out.Claims = said.PredicateType
	}
	return out
}

// differs says what a check had got and what it wanted, and how near that is.
func (c *Check) differs(r refused, p piece, wanted miss.Wanted) ([]miss.Difference, int) {
	switch r.refusal.Code {
	case IdentityMismatch:
		if p.leaf == nil {
			return one(miss.Signer, "a key", "a certificate"), 0
		}
		return wanted.Nearest(p.names(), p.issuer())
	case Expired:
		return c.validityDiffers(p), 0
	case UntrustedRoot:
		return c.rootDiffers(p), 0
	case TLog:
		return c.logDiffers(p), 0
	case Timestamp:
		return c.timestampDiffers(p), 0
	case DigestMismatch:
		return one(miss.Digest, p.about(r.attestation), r.digest.String()), 0
	case Malformed:
		if p.leaf == nil && c.key == nil && r.format == FormatLegacy && r.layer.Annotations[annotationCertificate] == "" {
			return one(miss.Signer, "no certificate", "a certificate"), 0
		}
	case Unsupported:
		if !c.reads(r.format) {
			return one(miss.Format, r.format, string(c.format)), 0
		}
	}
	return nil, 0
}

func one(what miss.What, got, want string) []miss.Difference {
	return []miss.Difference{miss.Differs(what, got, want)}
}

// piece is a layer as far as it can be read.
type piece struct {
	leaf    *x509.Certificate
	content []byte
	legacy  *legacyLayer
	bundle  *bundle.Bundle
}

func pieceOf(r refused) (out piece) {
	out.content = r.layer.Content
	if r.format == FormatBundle {
		entity := &bundle.Bundle{}
		if entity.UnmarshalJSON(r.layer.Content) != nil {
			return out
		}
		out.bundle = entity
		if content, err := entity.VerificationContent(); err == nil {
			out.leaf = content.Certificate()
		}
		return out
	}
	if layer, refusal := readLayer(r.layer, r.attestation); refusal == nil {
		out.legacy, out.leaf = layer, layer.certificate
	}
	return out
}

func (p piece) names() []string { return cryptoutils.GetSubjectAlternateNames(p.leaf) }

func (p piece) issuer() string {
	summary, err := certificate.SummarizeCertificate(p.leaf)
	if err != nil {
		return ""
	}
	return summary.Issuer
}

// about is the image that was signed, in the words of what was signed.
func (p piece) about(attestation bool) string {
	if p.bundle != nil {
		if content, err := p.bundle.SignatureContent(); err == nil && content.MessageSignatureContent() != nil {
			return "sha256:" + hex.EncodeToString(content.MessageSignatureContent().Digest())
		}
	} else if !attestation {
		claimed, _ := statement.ClaimedDigest(p.content)
		return cmp.Or(claimed, "none")
	}
	said := p.statement()
	if said == nil {
		return "none"
	}
	var digests []string
	for _, subject := range said.Subjects[:min(len(said.Subjects), 3)] {
		digests = append(digests, "sha256:"+shorten(subject["sha256"]))
	}
	return cmp.Or(strings.Join(digests, ", "), "none")
}

// statement is what an envelope says, nil where it says nothing that can be read.
func (p piece) statement() *statement.Statement {
	envelope := &dsse.Envelope{}
	if p.bundle != nil {
		content, err := p.bundle.SignatureContent()
		if err != nil || content.EnvelopeContent() == nil {
			return nil
		}
		envelope = content.EnvelopeContent().RawEnvelope()
	} else if json.Unmarshal(p.content, envelope) != nil {
		return nil
	}
	said, err := statement.FromEnvelope(envelope)
	if err != nil {
		return nil
	}
	return said
}

func (c *Check) validityDiffers(p piece) []miss.Difference {
	leaf, when := p.leaf, "the time of the signature"
	if c.keyLeaf != nil {
		leaf = c.keyLeaf
	}
	switch {
	case leaf == nil:
		return nil
	case c.demand.NoLog && !c.demand.Timestamp:
		when = "now, " + stamp(c.now) + ": neither log nor timestamp is asked for"
	case !c.demand.NoLog && p.legacy != nil && p.legacy.entry != nil:
		when = stamp(time.Unix(p.legacy.entry.Payload.IntegratedTime, 0)) + ", the time of the log entry"
	}
	return one(miss.Validity, fmt.Sprintf("a certificate valid from %s to %s", stamp(leaf.NotBefore), stamp(leaf.NotAfter)),
		"one valid at "+when)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// rootDiffers tells an authority that is not trusted from certificates that lack, or
// have another, certificate timestamp.
func (c *Check) rootDiffers(p piece) []miss.Difference {
	if p.leaf == nil {
		return nil
	}
	var along []*x509.Certificate
	if p.legacy != nil {
		along = p.legacy.along
	}
	trusted := c.along(along)
	if _, refusal := c.chain(p.leaf, trusted, []time.Time{p.leaf.NotBefore}); refusal != nil {
		var names []string
		for _, authority := range trusted.authorities {
			names = append(names, trust.Name(authority))
		}
		return one(miss.Root, "a certificate issued by "+p.leaf.Issuer.String(), "one issued under "+miss.Few(names))
	}
	if contains, err := cosign.ContainsSCT(p.leaf.Raw); err != nil || !contains {
		return one(miss.SCT, "none", "one in the certificate")
	}
	return one(miss.SCT, "one that does not verify", "one of a certificate log that the trust root knows")
}

// logDiffers tells no entry from one of another log and one that does not verify.
func (c *Check) logDiffers(p piece) []miss.Difference {
	var got []string
	known := c.trust.RekorLogs()
	switch {
	case p.legacy != nil && p.legacy.entry != nil:
		got = append(got, p.legacy.entry.Payload.LogID)
	case p.bundle != nil:
		entries, _ := p.bundle.TlogEntries()
		for _, entry := range entries {
			got = append(got, hex.EncodeToString([]byte(entry.LogKeyID())))
		}
	}
	var want []string
	for id := range known {
		want = append(want, id)
	}
	slices.Sort(want)
	switch {
	case len(got) == 0:
		return one(miss.Log, "no entry", "one in log "+miss.Few(want))
	case !slices.ContainsFunc(got, func(id string) bool { return known[id] != nil }):
		return one(miss.Log, "an entry in log "+miss.Few(got), "one in log "+miss.Few(want))
	}
	return one(miss.Log, "an entry that does not verify in log "+miss.Few(got), "one of this signature")
}

func (c *Check) timestampDiffers(p piece) []miss.Difference {
	has := p.legacy != nil && p.legacy.timestamp != nil
	if p.bundle != nil {
		stamps, err := p.bundle.Timestamps()
		has = err == nil && len(stamps) > 0
	}
	got := "none"
	if has {
		got = "one that does not verify"
	}
	var names []string
	for _, authority := range c.trust.TimestampingAuthorities() {
		if a, ok := authority.(*root.SigstoreTimestampingAuthority); ok && a.Root != nil {
			names = append(names, a.Root.Subject.String())
		}
	}
	return one(miss.Timestamp, got, "one issued under "+miss.Few(names))
}

// NotOfType are the misses where attestations were accepted and none of them is of the
// type: those that claim to be, and were refused, come before those of other types.
func NotOfType(attestations []Signature, refused []miss.Miss, want string) []miss.Miss {
	out := otherTypes(attestations, want)
	for i := range out {
		out[i].Rank = NotFound.rank()
	}
	for _, m := range refused {
		if m.Claims == miss.Printable(want) {
			m.Rank += 2 * NotFound.rank()
		}
		out = append(out, m)
	}
	return miss.Nearest(out)
}

// otherTypes are the misses of attestations that were verified and have another
// predicate type than the one that is wanted.
func otherTypes(attestations []Signature, want string) []miss.Miss {
	out := make([]miss.Miss, 0, len(attestations))
	for _, a := range attestations {
		out = append(out, miss.Miss{
			Digest: a.Digest, Format: a.Format, Code: string(NotFound), Message: "verified, of another predicate type",
			Differs: one(miss.PredicateType, cmp.Or(a.PredicateType, "none"), want),
		})
	}
	return miss.Nearest(out)
}
