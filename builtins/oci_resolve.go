package builtins

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/oci"
)

// resolved is the answer of oci.resolve.
type resolved struct {
	OK     bool     `json:"ok"`
	Digest string   `json:"digest"`
	Ref    string   `json:"ref"`
	Error  *problem `json:"error"`
}

func ociResolve() builtin {
	declaration := &ast.Builtin{
		Name: "oci.resolve",
		Description: "Resolves a reference to the digest it names now: the only builtin that reads a tag. " +
			"Answers not_found, unauthorized, rate_limited, timeout, unreachable, forbidden_host, malformed, digest_mismatch and too_large.",
		Decl: types.NewFunction(
			types.Args(types.Named("ref", types.S).Description("an image reference")),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "digest": types.S, "ref": types.S, "error": errorType(),
			})).Description("the digest, and the reference host/repository@digest"),
		),
		Nondeterministic: true,
	}
	return networked(declaration, func(p problem) any { return resolved{Error: &p} }, resolveQuestion)
}

func resolveQuestion(s *Session, operands []*ast.Term) (question, *problem) {
	ref, ok := text(operands[0])
	if !ok {
		return question{}, wantString("ref", operands[0])
	}
	reference, err := oci.Parse(ref)
	if err != nil {
		return question{}, problemOf(err)
	}
	return question{host: reference.Registry, lives: tagLives, get: func(ctx context.Context) (any, time.Time, *problem) {
		digest, err := s.facts.registry.Resolve(ctx, s.credentials, ref)
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
