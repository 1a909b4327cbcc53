package builtins

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/oci"
)

// content is the answer of oci.manifest, oci.index and oci.configs.
type content struct {
	OK    bool     `json:"ok"`
	Value any      `json:"value"`
	Error *problem `json:"error"`
}

// digestLives is how long an answer serves about what its digest names: as long
// as there is room for it.
const digestLives = time.Duration(math.MaxInt64)

func ociManifest() builtin {
	return contentBuiltin("oci.manifest", "Reads the image manifest or index that a reference names by digest, whose hash was checked.",
		types.A, "the manifest, null when not ok", nil,
		func(ctx context.Context, s *Session, image oci.Reference) (any, error) {
			body, err := s.facts.registry.Manifest(ctx, s.credentials, image.Name)
			return json.RawMessage(body), err
		})
}

func ociIndex() builtin {
	return contentBuiltin("oci.index", "Reads the index that a reference names by digest, whose hash was checked. Anything else is malformed.",
		types.A, "the index, null when not ok", nil,
		func(ctx context.Context, s *Session, image oci.Reference) (any, error) {
			body, err := s.facts.registry.Index(ctx, s.credentials, image.Name)
			return json.RawMessage(body), err
		})
}

func ociConfigs() builtin {
	return contentBuiltin("oci.configs", "Reads the config files of the image that a reference names by digest, or of all images below its index, "+
		"by platform (linux/arm/v7). One that cannot be had fails the whole.",
		types.NewObject(nil, types.NewDynamicProperty(types.S, types.A)), "the config files by platform, with the fields that policy-controller shows to policies",
		map[string]json.RawMessage{},
		func(ctx context.Context, s *Session, image oci.Reference) (any, error) {
			return s.facts.registry.Configs(ctx, s.credentials, image.Name)
		})
}

// contentBuiltin is a builtin about what a digest names: asked once, true for ever.
func contentBuiltin(name, description string, value types.Type, valueText string, none any,
	read func(context.Context, *Session, oci.Reference) (any, error),
) builtin {
	declaration := &ast.Builtin{
		Name:        name,
		Description: description + " Answers what oci.resolve answers.",
		Decl: types.NewFunction(
			types.Args(types.Named("ref", types.S).Description("the image, by digest")),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "value": types.Named("value", value).Description(valueText), "error": errorType(),
			})).Description("what was read"),
		),
		Nondeterministic: true,
	}
	blank := func(p problem) any { return content{Value: none, Error: &p} }
	return networked(declaration, blank, func(s *Session, operands []*ast.Term) (question, *problem) {
		image, p := pinned(operands[0])
		if p != nil {
			return question{}, p
		}
		return question{host: image.Registry, lives: digestLives, get: func(ctx context.Context) (any, time.Time, *problem) {
			value, err := read(ctx, s, image)
			if err != nil {
				return nil, time.Time{}, problemOf(err)
			}
			return content{OK: true, Value: value}, time.Time{}, nil
		}}, nil
	})
}

// pinned reads a reference that must have a digest.
func pinned(operand *ast.Term) (oci.Reference, *problem) {
	ref, ok := text(operand)
	if !ok {
		return oci.Reference{}, wantString("ref", operand)
	}
	image, err := oci.Parse(ref)
	if err != nil {
		return oci.Reference{}, problemOf(err)
	}
	if image.Digest == "" {
		return oci.Reference{}, &problem{Malformed, "ref: got " + ref + ", want a reference by digest"}
	}
	return image, nil
}
