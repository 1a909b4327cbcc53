package world

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/assay-dev/assay/world/sigstore"
)

// mint is what turns a description into evidence.
type mint struct {
	description    *Description
	own, strangers *sigstore.Sigstore          // a trusted root names its own only
	keys           map[string]*sigstore.Signer // by key signer
}

// newMint makes the authorities and the keys.
func newMint(d *Description) (mint, error) {
	m := mint{description: d, keys: map[string]*sigstore.Signer{}}
	var err error
	if m.own, err = sigstore.New(d.Clock); err != nil {
		return m, err
	}
	if m.strangers, err = sigstore.New(d.Clock); err != nil {
		return m, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Signers)) {
		if d.Signers[name].Key == "" {
			continue
		}
		if m.keys[name], err = sigstore.NewSigner(); err != nil {
			return m, err
		}
	}
	return m, nil
}

// evidence makes all that the description attaches to one image.
func (m mint) evidence(i Image, repository string, subject descriptor) ([]evidence, error) {
	var all []evidence
	add := func(path string, r *recipe, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		e, err := r.mint(m.description.Clock)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, e)
		return nil
	}
	for n, s := range i.Signatures {
		r, err := m.signature(s, repository, subject)
		if err := add(fmt.Sprintf("signatures[%d]", n), r, err); err != nil {
			return nil, err
		}
	}
	for n, a := range i.Attestations {
		r, err := m.attestation(a, repository, subject)
		if err := add(fmt.Sprintf("attestations[%d]", n), r, err); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (m mint) signature(s Signature, repository string, subject descriptor) (*recipe, error) {
	c := claim{repository: repository, image: subject, content: s.Content}
	if s.Format == Bundle && s.Content != Message {
		c = m.statement(Bundle, c, signPredicateType, nil)
	}
	return m.recipe(s.Signing, c, DSSE)
}

func (m mint) attestation(a Attestation, repository string, subject descriptor) (*recipe, error) {
	c := m.statement(a.Format, claim{repository: repository, image: subject}, a.PredicateType, a.Predicate)
	return m.recipe(a.Signing, c, a.Entry)
}

// statement makes an in-toto statement of the claim, of the version that cosign
// uses with the format.
func (m mint) statement(f Format, c claim, predicateType string, predicate json.RawMessage) claim {
	c.payloadType, c.statementType = intotoPayloadType, "https://in-toto.io/Statement/v0.1"
	if f == Bundle {
		c.statementType = "https://in-toto.io/Statement/v1"
	}
	if len(predicate) == 0 {
		predicate = json.RawMessage("{}")
	}
	c.predicateType, c.predicate = predicateType, predicate
	return c
}

// recipe is the sound recipe with the fault applied.
func (m mint) recipe(s Signing, c claim, entry Entry) (*recipe, error) {
	r := &recipe{
		claim: c, format: s.Format, entry: entry, copies: max(s.Copies, 1),
		age: issuedBefore, logName: s.Log, log: logOf(m.own, s.Log),
	}
	if r.format == "" {
		r.format = Legacy
	}
	if signer := m.description.Signers[s.Signer]; signer.Key != "" {
		r.key = m.keys[s.Signer]
	} else {
		r.ca, r.ctLog = m.own.CA, m.own.CTLog
		r.identity = sigstore.Identity{Issuer: signer.Issuer, Subject: signer.Subject, Extensions: signer.Extensions}
	}
	if s.Timestamp {
		r.tsa = m.own.TSA
	}
	return r, s.Fault.apply(r, m.strangers)
}

// logOf is the log of that name, nil for NoLog.
func logOf(s *sigstore.Sigstore, name Log) transparencyLog {
	switch name {
	case Rekor2:
		return s.Rekor2
	case NoLog:
		return nil
	default:
		return s.Rekor
	}
}
