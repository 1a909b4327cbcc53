package builtins

import (
	"context"
	"math"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

// content is the answer of a builtin about what a digest names.
type content struct {
	OK    bool             `json:"ok"`
	Value any              `json:"value"`
	Error *declare.Problem `json:"error"`
}

// digestLives is how long an answer serves about what its digest names: as long
// as there is room for it.
const digestLives = time.Duration(math.MaxInt64)

// byDigest makes a builtin about what a digest names: asked once, true for ever.
// none is the value where there is no answer.
func byDigest(b declare.Builtin, none any, read func(context.Context, Registry, oci.Credentials, oci.Reference) (any, error)) declare.Builtin {
	if b.Args == nil {
		b.Args = []declare.Field{declare.Named("ref", types.S, "the image, by digest")}
	}
	blank := func(p *declare.Problem) any { return content{Value: none, Error: p} }
	return networked(b, blank, func(s *Session, operands []*ast.Term) (question, *declare.Problem) {
		image, p := pinned(operands[0])
		if p != nil {
			return question{}, p
		}
		return question{host: image.Registry, about: image.Name, lives: digestLives, get: func(ctx context.Context, as oci.Credentials) (any, time.Time, *declare.Problem) {
			value, err := read(ctx, s.facts.registry, as, image)
			if err != nil {
				return nil, time.Time{}, problemOf(err)
			}
			return content{OK: true, Value: value}, time.Time{}, nil
		}}, nil
	})
}

// pinned reads a reference that must have a digest.
func pinned(operand *ast.Term) (oci.Reference, *declare.Problem) {
	ref, p := declare.Text("ref", operand)
	if p != nil {
		return oci.Reference{}, p
	}
	image, err := oci.Parse(ref)
	if err != nil {
		return oci.Reference{}, problemOf(err)
	}
	if image.Digest == "" {
		return oci.Reference{}, declare.Refuse(declare.Malformed, "ref: got "+ref+", want a reference by digest")
	}
	return image, nil
}
