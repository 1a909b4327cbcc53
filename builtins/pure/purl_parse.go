package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/purl"
)

func purlParse() declare.Builtin {
	return declare.Builtin{
		Name:   "purl.parse",
		Text:   "Takes a package URL apart, as in `pkg:npm/%40acme/app@1.2.3`.",
		Args:   []declare.Field{declare.Named("purl", types.S, "a package URL")},
		Answer: "the parts of the package URL",
		Members: []declare.Field{declare.ObjectOrNull("value", "null when not `ok`; what the URL has not is empty",
			declare.Named("type", types.S, "`npm`, `deb`, `oci`, … in lower case"),
			declare.Named("namespace", types.S, "`@acme`, decoded"),
			declare.Named("name", types.S, "decoded"),
			declare.Named("version", types.S, "decoded"),
			declare.Named("qualifiers", declare.Words(), "`arch`, `distro`, `repository_url`, …"),
			declare.Named("subpath", types.S, "within the package"),
			declare.Named("canonical", types.S, "the URL in its one canonical form, for comparisons"),
		)},
		Codes: []declare.Code{declare.Malformed, declare.TooLarge},
		Examples: []declare.Example{{
			Expression: `purl.parse("pkg:npm/%40acme/app@1.2.3?arch=amd64").value`,
			Value: `{"type": "npm", "namespace": "@acme", "name": "app", "version": "1.2.3", "qualifiers": {"arch": "amd64"}, "subpath": "",
 "canonical": "pkg:npm/%40acme/app@1.2.3?arch=amd64"}`,
		}},
		Call: calling(func(operands []*ast.Term) (any, *declare.Problem) {
			text, p := declare.Text("purl", operands[0])
			if p != nil {
				return nil, p
			}
			value, err := purl.Parse(text)
			if err != nil {
				return nil, problem("purl", err)
			}
			return value, nil
		}),
	}
}
