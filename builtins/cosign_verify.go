package builtins

import (
	"context"
	"fmt"
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
		return s.evidenceQuestion(operands, func(ctx context.Context, o origin, a cip.Authority) (any, time.Time, *problem) {
			signatures, _, p := s.facts.verified(ctx, s, o, a, false)
			return verified{OK: true, Signatures: signatures}, sigstore.ValidUntil(signatures), p
		})
	})
}

// evidenceQuestion reads the operands that the two verifying builtins share. get
// gives an answer and the time at which it would change by time alone, or zero.
func (s *Session) evidenceQuestion(operands []*ast.Term,
	get func(context.Context, origin, cip.Authority) (any, time.Time, *problem),
) (question, *problem) {
	image, p := pinned(operands[0])
	if p != nil {
		return question{}, p
	}
	a, p := authority(operands[1])
	if p != nil {
		return question{}, p
	}
	o, p := s.origin(image, a)
	if p != nil {
		return question{}, p
	}
	q := question{host: o.place.Registry(image), lives: evidenceLives, get: func(ctx context.Context) (any, time.Time, *problem) {
		return get(ctx, o, a)
	}}
	if o.credentials.ID != s.credentials.ID {
		// Quoted and with a mark, so that it is never what no credentials of a question's own are.
		q.credentials = "source " + o.credentials.ID
	}
	return q, nil
}

// origin reads the source of an authority: where its evidence is, and who asks
// for it. Credentials of the source take the place of the session's and never
// stand beside them (AUTH-4): without any the source is asked anonymously.
func (s *Session) origin(image oci.Reference, a cip.Authority) (origin, *problem) {
	out := origin{image: image, credentials: s.credentials}
	switch len(a.Sources) {
	case 0:
		return out, nil
	case 1:
	default:
		return out, &problem{Malformed, fmt.Sprintf("authority: source: got %d, want at most 1", len(a.Sources))}
	}
	source, prefix := a.Sources[0], ""
	if source.TagPrefix != nil {
		prefix = *source.TagPrefix
	}
	var err error
	if out.place, err = oci.ParsePlace(source.OCI, prefix); err != nil {
		return out, &problem{Malformed, "authority: source[0]: " + problemOf(err).Message}
	}
	if len(source.SignaturePullSecrets) == 0 {
		return out, nil
	}
	names := make([]string, len(source.SignaturePullSecrets))
	for i, secret := range source.SignaturePullSecrets {
		names[i] = secret.Name
	}
	out.credentials = oci.Credentials{}
	if s.facts.options.PullSecrets != nil {
		out.credentials, err = s.facts.options.PullSecrets(s.namespace, names)
	}
	if err != nil {
		p := problemOf(err)
		return out, &problem{p.Code, "signaturePullSecrets: " + p.Message}
	}
	return out, nil
}

// evidenceLives is how long a verdict serves without looking for new evidence.
// What was verified stays true; what this delays is that a signature which was
// added since, or removed, counts.
const evidenceLives = 10 * time.Second
