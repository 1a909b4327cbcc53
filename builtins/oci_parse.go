package builtins

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/oci"
)

// parsed is the answer of oci.parse.
type parsed struct {
	OK         bool     `json:"ok"`
	Registry   string   `json:"registry"`
	Repository string   `json:"repository"`
	Tag        string   `json:"tag"`
	Digest     string   `json:"digest"`
	Name       string   `json:"name"`
	Error      *problem `json:"error"`
}

func ociParse() builtin {
	declaration := &ast.Builtin{
		Name:        "oci.parse",
		Description: "Parses an image reference. Pure. Answers malformed.",
		Decl: types.NewFunction(
			types.Args(types.Named("ref", types.S).Description("an image reference, with or without registry, tag and digest")),
			types.Named("answer", closed(map[string]types.Type{
				"ok": types.B, "registry": types.S, "repository": types.S, "tag": types.S, "digest": types.S,
				"name": types.S, "error": errorType(),
			})).Description("the parts of the reference; `name` is host/repository@digest, or host/repository:tag without a digest"),
		),
	}
	call := func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		return iter(parse(operands[0]))
	}
	return builtin{declaration, call}
}

func parse(operand *ast.Term) *ast.Term {
	ref, ok := text(operand)
	if !ok {
		return term(parsed{Error: wantString("ref", operand)})
	}
	reference, err := oci.Parse(ref)
	if err != nil {
		return term(parsed{Error: problemOf(err)})
	}
	return term(parsed{
		OK: true, Registry: reference.Registry, Repository: reference.Repository,
		Tag: reference.Tag, Digest: reference.Digest, Name: reference.Name,
	})
}
