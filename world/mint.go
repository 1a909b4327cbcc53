package world

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// mint is what turns a description into evidence.
type mint struct {
	description    *Description
	own, strangers sigstore
	keys           map[string]*ecdsa.PrivateKey // by key signer
}

// newMint makes the authorities and the keys.
func newMint(d *Description) (mint, error) {
	m := mint{description: d, keys: map[string]*ecdsa.PrivateKey{}}
	var err error
	if m.own, err = newSigstore(d.Clock); err != nil {
		return m, err
	}
	if m.strangers, err = newSigstore(d.Clock); err != nil {
		return m, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Signers)) {
		if d.Signers[name].Key == "" {
			continue
		}
		if m.keys[name], err = newKey(); err != nil {
			return m, err
		}
	}
	return m, nil
}

// evidence makes all that the description attaches to one image.
func (m mint) evidence(i Image, repository, digest string) ([]evidence, error) {
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
		r, err := m.signature(s, repository, digest)
		if err := add(fmt.Sprintf("signatures[%d]", n), r, err); err != nil {
			return nil, err
		}
	}
	for n, a := range i.Attestations {
		r, err := m.attestation(a, repository, digest)
		if err := add(fmt.Sprintf("attestations[%d]", n), r, err); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (m mint) signature(s Signature, repository, digest string) (*recipe, error) {
	c := claim{repository: repository, digest: digest}
	if s.Format == Bundle {
		c = m.statement(Bundle, c, signPredicateType, nil)
	}
	return m.recipe(s.Signing, c, DSSE)
}

func (m mint) attestation(a Attestation, repository, digest string) (*recipe, error) {
	c := m.statement(a.Format, claim{repository: repository, digest: digest}, a.PredicateType, a.Predicate)
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
		signer: m.description.Signers[s.Signer], key: m.keys[s.Signer],
		age: issuedBefore, logName: s.Log, log: m.own.log(s.Log),
	}
	if r.format == "" {
		r.format = Legacy
	}
	if r.signer.Key == "" {
		r.fulcio, r.ctLog = m.own.fulcio, m.own.ctLog
	}
	if s.Timestamp {
		r.tsa = m.own.tsa
	}
	return r, s.Fault.apply(r, m.strangers)
}
