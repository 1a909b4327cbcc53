package builtins

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// verified is the answer of cosign.verify.
type verified struct {
	OK         bool                 `json:"ok"`
	Signatures []sigstore.Signature `json:"signatures"`
	Error      *problem             `json:"error"`
}

func cosignVerify() builtin {
	declaration := &ast.Builtin{
		Name: "cosign.verify",
		Description: "Verifies the signatures of an image for one authority of a ClusterImagePolicy. " +
			"Answers no_signatures, identity_mismatch, untrusted_root, expired, tlog, timestamp, digest_mismatch, malformed, " +
			"unsupported and too_large, and what oci.resolve answers of a registry.",
		Decl: types.NewFunction(
			types.Args(
				types.Named("ref", types.S).Description("the image, by digest"),
				types.Named("authority", authorityType()).Description("the authority, with the CIP's own fields"),
			),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "signatures": types.NewArray(nil, signatureType()), "error": errorType(),
			})).Description("the signers that the authority accepts, at least one when ok; what a signer has not, such as the subject of a key, is absent"),
		),
		Nondeterministic: true,
	}
	blank := func(p problem) any { return verified{Signatures: []sigstore.Signature{}, Error: &p} }
	return networked(declaration, blank, func(s *Session, operands []*ast.Term) (question, *problem) {
		return evidenceQuestion(operands, func(ctx context.Context, image oci.Reference, a cip.Authority) (any, time.Time, *problem) {
			signatures, _, p := s.facts.verified(ctx, s, image, a, false)
			return verified{OK: true, Signatures: signatures}, sigstore.ValidUntil(signatures), p
		})
	})
}

// evidenceQuestion reads the operands that the two verifying builtins share. get
// gives an answer and the time at which it would change by time alone, or zero.
func evidenceQuestion(operands []*ast.Term,
	get func(context.Context, oci.Reference, cip.Authority) (any, time.Time, *problem),
) (question, *problem) {
	ref, ok := text(operands[0])
	if !ok {
		return question{}, wantString("ref", operands[0])
	}
	image, err := oci.Parse(ref)
	if err != nil {
		return question{}, problemOf(err)
	}
	if image.Digest == "" {
		return question{}, &problem{Malformed, "ref: got " + ref + ", want a reference by digest"}
	}
	a, p := authority(operands[1])
	if p != nil {
		return question{}, p
	}
	return question{host: image.Registry, lives: evidenceLives, get: func(ctx context.Context) (any, time.Time, *problem) {
		return get(ctx, image, a)
	}}, nil
}

// evidenceLives is how long a verdict serves without looking for new evidence.
// What was verified stays true; what this delays is that a signature which was
// added since, or removed, counts.
const evidenceLives = 10 * time.Second
