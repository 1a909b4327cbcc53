package pure

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

// parsed is the answer of oci.parse.
type parsed struct {
	OK         bool             `json:"ok"`
	Registry   string           `json:"registry"`
	Repository string           `json:"repository"`
	Tag        string           `json:"tag"`
	Digest     string           `json:"digest"`
	Name       string           `json:"name"`
	Error      *declare.Problem `json:"error"`
}

// OCIParse is oci.parse, which stands among the builtins of registries.
func OCIParse() declare.Builtin {
	return declare.Builtin{
		Name:   "oci.parse",
		Text:   "Takes an image reference apart. It is pure: no network, the same answer always.",
		Args:   []declare.Field{declare.Named("ref", types.S, "an image reference, with or without registry, tag and digest")},
		Answer: "the parts of the reference",
		Members: []declare.Field{
			declare.Named("registry", types.S, "host and port in lower case, `index.docker.io` where none is written"),
			declare.Named("repository", types.S, "with `library/` where Docker Hub implies it"),
			declare.Named("tag", types.S, "`latest` where neither tag nor digest is written; empty if there is only a digest"),
			declare.Named("digest", types.S, "`sha256:…`, or empty"),
			declare.Named("name", types.S, "`registry/repository@digest`, or `registry/repository:tag` without a digest"),
		},
		Codes: []declare.Code{declare.Malformed},
		Examples: []declare.Example{{
			Expression: `oci.parse("nginx")`,
			Value: `{"ok": true, "registry": "index.docker.io", "repository": "library/nginx", "tag": "latest", "digest": "",
 "name": "index.docker.io/library/nginx:latest", "error": null}`,
		}},
		Call: func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			return iter(declare.Term(parse(operands[0])))
		},
	}
}

func parse(operand *ast.Term) parsed {
	ref, p := declare.Text("ref", operand)
	if p != nil {
		return parsed{Error: p}
	}
	reference, err := oci.Parse(ref)
	if err != nil {
		// Every error of that package is one of its own, with a message for people.
		var refusal *oci.Error
		if !errors.As(err, &refusal) {
			refusal = &oci.Error{Message: err.Error()}
		}
		return parsed{Error: declare.Refuse(declare.Malformed, refusal.Message)}
	}
	return parsed{
		OK: true, Registry: reference.Registry, Repository: reference.Repository,
		Tag: reference.Tag, Digest: reference.Digest, Name: reference.Name,
	}
}
