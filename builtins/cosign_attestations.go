package builtins

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/authority"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// attested is the answer of cosign.attestations.
type attested struct {
	OK           bool          `json:"ok"`
	Attestations []attestation `json:"attestations"`
	Error        *refused      `json:"error"`
}

// attestation is a verified one, and how policy-controller shows its statement to
// policies: absent where that is the statement itself.
type attestation struct {
	sigstore.Signature
	Document json.RawMessage `json:"document,omitempty"`
	// DocumentError says why there is no document. The attestation is verified all
	// the same; it satisfies no policy.
	DocumentError string `json:"document_error,omitempty"`
}

// documented adds the documents to attestations, once for all evaluations: reading
// a bill of materials takes longer than judging it.
func documented(found []sigstore.Signature, asked string) []attestation {
	out := make([]attestation, len(found))
	for i, signature := range found {
		out[i].Signature = signature
		document, err := sigstore.Document(signature.Statement, asked)
		switch {
		case err != nil:
			out[i].DocumentError = err.Error()
		case !sameJSON(document, signature.Statement):
			out[i].Document = document
		}
	}
	return out
}

func sameJSON(a, b []byte) bool {
	first, err := ast.ValueFromReader(bytes.NewReader(a))
	if err != nil {
		return false
	}
	second, err := ast.ValueFromReader(bytes.NewReader(b))
	return err == nil && first.Compare(second) == 0
}

func cosignAttestations() declare.Builtin {
	refuse := func(p *declare.Problem, seen evidence) any {
		return attested{Attestations: []attestation{}, Error: refusedFor(p, seen)}
	}
	blank := func(p *declare.Problem) any { return refuse(p, evidence{}) }
	return networked(declare.Builtin{
		Name: "cosign.attestations",
		Text: "Verifies the attestations of an image for one authority, and answers with those of one predicate type. " +
			"The type in the signed statement counts. `not_found` also says that there are verified attestations, none of the type.",
		Args:   evidenceArgs(declare.Named("predicate_type", types.S, "a URI, or one of cosign's short names (`slsaprovenance1`, `spdx`, …)")),
		Answer: "the attestations",
		Members: []declare.Field{declare.Objects("attestations",
			"those of the type that the authority accepts, at least one when `ok`", attestationMembers()...)},
		Error: refusedMembers(),
		Codes: evidenceCodes(),
		Examples: []declare.Example{{
			Expression: `[a.statement.predicate.scanner.uri | some a in cosign.attestations("${app@}", {"name": "release", "keyless": {"identities": [{
    "issuer": "https://token.actions.githubusercontent.com", "subjectRegExp": "^https://github.com/acme/"}]}}, "vuln").attestations]`,
			Value: `["https://trivy.dev"]`,
		}},
	}, blank, func(s *Session, operands []*ast.Term) (question, *declare.Problem) {
		asked, p := declare.Text("predicate_type", operands[2])
		if p != nil {
			return question{}, p
		}
		return s.evidenceQuestion(operands, func(ctx context.Context, o origin, a cip.Authority) (any, time.Time, *declare.Problem) {
			attestations, seen, p := s.facts.verified(ctx, s, o, a, true)
			if p != nil {
				return telling{refuse(p, seen)}, time.Time{}, p
			}
			found, refusal := sigstore.OfType(attestations, cip.PredicateTypeURI(asked), asked)
			if lacks := seen.lacks(); refusal != nil && lacks != nil {
				return telling{refuse(lacks, seen)}, time.Time{}, lacks // what could not be had may have been of the type
			}
			if refusal != nil {
				seen.misses = sigstore.NotOfType(attestations, seen.misses, cip.PredicateTypeURI(asked))
				p := lookedAt(problemOf(refusal), seen.where)
				return telling{refuse(p, seen)}, time.Time{}, p
			}
			return attested{OK: true, Attestations: documented(found, asked)}, sigstore.ValidUntil(found), nil
		})
	})
}

// attestationMembers are what an attestation may have.
func attestationMembers() []declare.Field {
	return append(authority.Signature(),
		declare.Named("document", types.A, "the statement as policy-controller shows it to policies, where that is another: by one of cosign's short names "+
			"(`vuln`, `slsaprovenance`, `cyclonedx`, `spdx`, `link`) the predicate has the fields that cosign knows and no others; "+
			"what is beside `_type`, `predicateType`, `subject` and `predicate` is left out"),
		declare.Named("document_error", types.S, "why there is no such document; the attestation then satisfies no policy"),
	)
}
