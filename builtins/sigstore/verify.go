package sigstore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/sigstore/miss"
	"github.com/assay-dev/assay/rego/cip"
)

// Evidence is what a registry holds about one image in one storage.
type Evidence struct {
	// Format is how the layers are read: legacy or bundle.
	Format string
	Layers []Layer
}

// Signatures verifies image signatures about the digest (sha256:…) and returns
// every signer that the check accepts. One good signature is enough, wherever
// it stands; the others are then of no account.
func (c *Check) Signatures(digest string, evidence []Evidence) ([]Signature, *Refusal) {
	found, missed, refusal := c.all(digest, evidence, false)
	if refusal != nil {
		return nil, refusal
	}
	var out []Signature
	for _, s := range found {
		// A bundle with any other statement is an attestation: it must not pass
		// for a signature of the image.
		if s.Format == FormatBundle && s.PredicateType != "" && s.PredicateType != signPredicateType {
			continue
		}
		s.PredicateType, s.Statement, s.Digest = "", nil, ""
		out = append(out, s)
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(missed) > 0:
		return nil, c.nearest("no matching signatures", missed)
	}
	// What is there are attestations, which are near misses at best.
	return nil, &Refusal{Code: NoSignatures, Message: "no signatures found", Misses: otherTypes(found, signPredicateType)}
}

// Attestations verifies attestations about the digest and returns those that
// the check accepts, of every predicate type. A bundle that signs nothing but a
// digest is none, cosign 3's signature is one of the type sign/v1 (BND-4).
func (c *Check) Attestations(digest string, evidence []Evidence) ([]Signature, *Refusal) {
	out, _, refusal := c.AttestationsAndMisses(digest, evidence)
	return out, refusal
}

// AttestationsAndMisses is Attestations, and what was refused beside those that the
// check accepts: one of another type than is wanted may not be all that there is.
func (c *Check) AttestationsAndMisses(digest string, evidence []Evidence) ([]Signature, []miss.Miss, *Refusal) {
	found, missed, refusal := c.all(digest, evidence, true)
	if refusal != nil {
		return nil, nil, refusal
	}
	out := slices.DeleteFunc(slices.Clone(found), func(s Signature) bool { return s.PredicateType == "" })
	switch {
	case len(out) > 0:
		return out, c.missed(missed), nil
	case len(missed) > 0:
		return nil, nil, c.nearest("no matching attestations", missed)
	}
	return nil, nil, &Refusal{Code: NoSignatures, Message: "no matching attestations", Misses: otherTypes(found, "an attestation's")}
}

// OfType keeps the attestations of one predicate type. The type in the signed
// statement decides, by exact comparison (T1 of the known holes); want is the
// URI, asked is how the policy wrote it.
func OfType(attestations []Signature, want, asked string) ([]Signature, *Refusal) {
	var out []Signature
	var types []string
	for _, a := range attestations {
		if a.PredicateType == want {
			out = append(out, a)
		}
		types = append(types, a.PredicateType)
	}
	if len(out) > 0 {
		return out, nil
	}
	slices.Sort(types)
	types = slices.Compact(types)
	return nil, refuse(NotFound, "no matching attestations with type %s, checked the following predicateTypes: %q",
		asked, strings.Join(types, ","))
}

// ValidUntil is the earliest time at which a verdict over the signatures could
// change by time alone; zero for never.
func ValidUntil(signatures []Signature) time.Time {
	var out time.Time
	for _, s := range signatures {
		if !s.ValidUntil.IsZero() && (out.IsZero() || s.ValidUntil.Before(out)) {
			out = s.ValidUntil
		}
	}
	return out
}

func (c *Check) all(digest string, evidence []Evidence, attestation bool) (found []Signature, missed []refused, _ *Refusal) {
	hash, err := v1.NewHash(digest)
	if err != nil || hash.Algorithm != "sha256" {
		return nil, nil, refuse(DigestMismatch, "digest: got %q, want sha256:<64 hex digits>", shorten(digest))
	}
	count := 0
	for _, e := range evidence {
		count += len(e.Layers)
	}
	if count > MaxSignatures {
		return nil, nil, refuse(TooLarge, "signatures: got %d, want at most %d", count, MaxSignatures)
	}
	for _, e := range evidence {
		for _, layer := range e.Layers {
			signature, refusal := c.guarded(layer, hash, e.Format, attestation)
			if refusal == nil {
				refusal = c.keyInTime(signature)
			}
			if refusal != nil {
				missed = append(missed, refused{layer, e.Format, attestation, hash, refusal})
				continue
			}
			found = append(found, *signature)
		}
	}
	return found, missed, nil
}

// guarded verifies one layer and survives what a library does with it: content
// of a registry has crashed cosign before (PR 4648, PR 4881), and an image that
// crashes the verifier must be denied, not take the process with it.
func (c *Check) guarded(layer Layer, digest v1.Hash, format string, attestation bool) (out *Signature, refusal *Refusal) {
	defer func() {
		if cause := recover(); cause != nil {
			out, refusal = nil, refuse(Malformed, "verification panicked: %v", shorten(fmt.Sprint(cause)))
		}
	}()
	if layer.Missing != nil {
		return nil, layer.Missing
	}
	if !c.reads(format) {
		return nil, refuse(Unsupported, "format: got %q, which the policy does not name", shorten(format))
	}
	switch format {
	case FormatLegacy:
		return c.legacy(layer, digest, attestation)
	case FormatBundle:
		return c.bundle(layer, digest)
	}
	return nil, refuse(Unsupported, "format: got %q, want legacy or bundle", format)
}

// reads reports whether the policy names the format; legacy by default. What it
// does not name is not a second chance.
func (c *Check) reads(format string) bool {
	switch c.format {
	case cip.FormatAny:
		return true
	case "":
		return format == FormatLegacy
	}
	return format == string(c.format)
}
