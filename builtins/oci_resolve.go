package builtins

import (
	"context"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

// resolved is the answer of oci.resolve.
type resolved struct {
	OK     bool             `json:"ok"`
	Digest string           `json:"digest"`
	Ref    string           `json:"ref"`
	Error  *declare.Problem `json:"error"`
}

func ociResolve() declare.Builtin {
	return networked(declare.Builtin{
		Name: "oci.resolve",
		Text: "Asks the registry which digest a tag names now. It is the only function that reads tags; a reference with a digest answers itself. " +
			"The digest is computed from the manifest's bytes.",
		Args:   []declare.Field{declare.Named("ref", types.S, "an image reference")},
		Answer: "the digest",
		Members: []declare.Field{
			declare.Named("digest", types.S, "`sha256:…`"),
			declare.Named("ref", types.S, "`registry/repository@digest`"),
		},
		Codes: registryCodes(),
		Examples: []declare.Example{{
			Expression: `oci.resolve("${app}")`,
			Value:      `{"ok": true, "digest": "sha256:…", "ref": "${app@}", "error": null}`,
		}, {
			Expression: `oci.resolve("ghcr.io/acme/none:v1")`,
			Value: `{"ok": false, "digest": "", "ref": "",
 "error": {"code": "not_found", "message": "manifest ghcr.io/acme/none:v1: got status 404, want 200"}}`,
		}},
	}, func(p *declare.Problem) any { return resolved{Error: p} }, resolveQuestion)
}

// registryCodes are what can go wrong with a registry, and more of a builtin's own.
func registryCodes(more ...declare.Code) []declare.Code {
	return slices.Concat([]declare.Code{
		declare.NotFound, declare.Unauthorized, declare.RateLimited, declare.Timeout, declare.Unreachable, declare.ForbiddenHost,
		declare.Malformed, declare.DigestMismatch, declare.TooLarge,
	}, more, []declare.Code{declare.Unsupported})
}

func resolveQuestion(s *Session, operands []*ast.Term) (question, *declare.Problem) {
	ref, p := declare.Text("ref", operands[0])
	if p != nil {
		return question{}, p
	}
	reference, err := oci.Parse(ref)
	if err != nil {
		return question{}, problemOf(err)
	}
	return question{host: reference.Registry, lives: tagLives, get: func(ctx context.Context, as oci.Credentials) (any, time.Time, *declare.Problem) {
		digest, err := s.facts.registry.Resolve(ctx, as, ref)
		if err != nil {
			return nil, time.Time{}, problemOf(err)
		}
		name := reference.Registry + "/" + reference.Repository + "@" + digest
		return resolved{OK: true, Digest: digest, Ref: name}, time.Time{}, nil
	}}, nil
}

// tagLives is how long an answer about a tag serves without asking again. A tag
// may move at any time; within one decision it is read once whatever this says.
const tagLives = time.Second
