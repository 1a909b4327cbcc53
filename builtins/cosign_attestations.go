package builtins

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// attested is the answer of cosign.attestations.
type attested struct {
	OK           bool          `json:"ok"`
	Attestations []attestation `json:"attestations"`
	Error        *problem      `json:"error"`
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

func cosignAttestations() builtin {
	declaration := &ast.Builtin{
		Name: "cosign.attestations",
		Description: "Verifies the attestations of an image for one authority and gives those of one predicate type. " +
			"Answers what cosign.verify answers, and not_found when there are verified attestations but none of the type.",
		Decl: types.NewFunction(
			types.Args(
				types.Named("ref", types.S).Description("the image, by digest"),
				types.Named("authority", authorityType()).Description("the authority, with the CIP's own fields"),
				types.Named("predicate_type", types.S).Description("the predicate type, as a URI or as cosign's short name"),
			),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "attestations": types.NewArray(nil, attestationType()), "error": errorType(),
			})).Description("the attestations of the type that the authority accepts, at least one when ok"),
		),
		Nondeterministic: true,
	}
	blank := func(p problem) any { return attested{Attestations: []attestation{}, Error: &p} }
	return networked(declaration, blank, func(s *Session, operands []*ast.Term) (question, *problem) {
		asked, ok := text(operands[2])
		if !ok {
			return question{}, wantString("predicate_type", operands[2])
		}
		return s.evidenceQuestion(operands, func(ctx context.Context, o origin, a cip.Authority) (any, time.Time, *problem) {
			attestations, seen, p := s.facts.verified(ctx, s, o, a, true)
			if p != nil {
				return nil, time.Time{}, p
			}
			found, refusal := sigstore.OfType(attestations, cip.PredicateTypeURI(asked), asked)
			if lacks := seen.lacks(); refusal != nil && lacks != nil {
				return nil, time.Time{}, lacks // what could not be had may have been of the type
			}
			if refusal != nil {
				return nil, time.Time{}, problemOf(refusal).lookedAt(seen.where)
			}
			return attested{OK: true, Attestations: documented(found, asked)}, sigstore.ValidUntil(found), nil
		})
	})
}
