package builtins

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/authority"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/rego/cip"
)

// verified is the answer of cosign.verify.
type verified struct {
	OK         bool                 `json:"ok"`
	Signatures []sigstore.Signature `json:"signatures"`
	Error      *refused             `json:"error"`
}

func cosignVerify() declare.Builtin {
	refuse := func(p *declare.Problem, seen evidence) any {
		return verified{Signatures: []sigstore.Signature{}, Error: refusedFor(p, seen)}
	}
	blank := func(p *declare.Problem) any { return refuse(p, evidence{}) }
	return networked(declare.Builtin{
		Name:   "cosign.verify",
		Text:   "Verifies the signatures of an image for one authority of a ClusterImagePolicy.",
		Args:   evidenceArgs(),
		Answer: "the signers",
		Members: []declare.Field{declare.Objects("signatures",
			"every signature that the authority accepts, at least one when `ok`; what a signer has not, such as the subject of a key, is absent",
			authority.Signature()...)},
		Error: refusedMembers(),
		Codes: evidenceCodes(),
		Examples: []declare.Example{{
			Expression: `cosign.verify("${app@}", {"name": "release", "keyless": {"identities": [{
    "issuer": "https://token.actions.githubusercontent.com", "subjectRegExp": "^https://github.com/acme/"}]}})`,
			Value: `{"ok": true, "error": null, "signatures": [{
  "id": "…", "format": "legacy", "issuer": "https://token.actions.githubusercontent.com",
  "subject": "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
  "extensions": {"githubWorkflowRepository": "acme/app"},
  "log": [{"log_id": "…", "log_index": "…", "integrated_time": "2026-06-01T12:00:00Z"}]}]}`,
		}, {
			Expression: `cosign.verify("${bare@}", {"name": "release", "keyless": {"identities": [{
    "issuer": "https://token.actions.githubusercontent.com", "subjectRegExp": "^https://github.com/acme/"}]}}).error.message`,
			Value: `"no signatures found; looked at ghcr.io/acme/bare:sha256-….sig"`,
		}},
	}, blank, func(s *Session, operands []*ast.Term) (question, *declare.Problem) {
		return s.evidenceQuestion(operands, func(ctx context.Context, o origin, a cip.Authority) (any, time.Time, *declare.Problem) {
			signatures, seen, p := s.facts.verified(ctx, s, o, a, false)
			if p != nil {
				return telling{refuse(p, seen)}, time.Time{}, p
			}
			return verified{OK: true, Signatures: signatures}, sigstore.ValidUntil(signatures), p
		})
	})
}

// evidenceArgs are the arguments that the two verifying builtins share.
func evidenceArgs(more ...declare.Field) []declare.Field {
	return append([]declare.Field{
		declare.Named("ref", types.S, "the image, by digest"),
		// Which fields it may have is checked when it is read, so that the message can
		// name the one that is wrong.
		declare.Named("authority", types.NewObject(nil, types.NewDynamicProperty(types.S, types.A)),
			"the authority, with the fields of `spec.authorities[]` of a ClusterImagePolicy"),
	}, more...)
}

// evidenceCodes are what they answer.
func evidenceCodes() []declare.Code {
	return registryCodes(declare.NoSignatures, declare.IdentityMismatch, declare.UntrustedRoot, declare.Expired, declare.TLog, declare.Timestamp)
}

// evidenceQuestion reads the operands that the two verifying builtins share. get
// gives an answer and the time at which it would change by time alone, or zero.
func (s *Session) evidenceQuestion(operands []*ast.Term,
	get func(context.Context, origin, cip.Authority) (any, time.Time, *declare.Problem),
) (question, *declare.Problem) {
	image, p := pinned(operands[0])
	if p != nil {
		return question{}, p
	}
	a, p := authority.Read(operands[1])
	if p != nil {
		return question{}, p
	}
	place, named, p := authority.Place(a)
	if p != nil {
		return question{}, p
	}
	return question{host: place.Registry(image), about: image.Name, named: named, lives: evidenceLives,
		get: func(ctx context.Context, as oci.Credentials) (any, time.Time, *declare.Problem) {
			return get(ctx, origin{image: image, place: place, credentials: as}, a)
		}}, nil
}

// evidenceLives is how long a verdict serves without looking for new evidence.
// What was verified stays true; what this delays is that a signature which was
// added since, or removed, counts.
const evidenceLives = 10 * time.Second
