package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/sbom"
)

func sbomPackages() declare.Builtin {
	const name = "sbom.packages"
	return declare.Builtin{
		Name: name,
		Text: "Reads a bill of materials as one shape: SPDX 2.2 and 2.3 in JSON, SPDX 3.0 in JSON-LD, CycloneDX 1.2 to 1.7 in JSON. " +
			"The content tells which; every other format is `unsupported`. A package that the document does not list is not there.",
		Args:   []declare.Field{documentArgument("the document, an in-toto statement about it, its text, or cosign's `{\"Data\": …}` around it")},
		Answer: "what the document lists",
		Members: []declare.Field{declare.ObjectOrNull("value", "null when not `ok`; what the document does not say is empty",
			declare.Named("format", types.S, "`spdx` or `cyclonedx`"),
			declare.Named("version", types.S, "of the format, as in `2.3`"),
			declare.Named("name", types.S, "of the document"),
			declare.Named("created", types.S, "RFC 3339; absent where the document does not say"),
			declare.Objects("packages", "in the order of the document",
				declare.Named("id", types.S, "the document's own name of the entry"),
				declare.Named("name", types.S, ""),
				declare.Named("group", types.S, "CycloneDX only"),
				declare.Named("version", types.S, ""),
				declare.Named("purls", declare.List(types.S), "as written; `purl.parse` reads them"),
				declare.Named("cpes", declare.List(types.S), "as written"),
				declare.Objects("licenses", "of the package; what says that nothing is known is none",
					declare.Named("kind", types.S, "`declared`, `concluded`, or empty where the document does not tell"),
					declare.Named("expression", types.S, "an SPDX expression, or a name where there is none"),
				),
				declare.Named("hashes", declare.Words(), "by algorithm, both in lower case"),
				declare.Named("supplier", types.S, ""),
				declare.Named("type", types.S, "`library`, `application`, `container`, … in lower case"),
				declare.Named("relation", types.S, "to what the document is about: `root`, `direct` or `transitive` where dependencies say so, else `unknown`"),
			),
			declare.Objects("relationships", "those between packages, by their `id`",
				declare.Named("from", types.S, ""),
				declare.Named("to", types.S, ""),
				declare.Named("kind", types.S, "`depends_on`, `contains`, or the document's own word in lower case"),
			),
		)},
		Codes: predicateCodes(),
		Examples: []declare.Example{{
			Expression: `sbom.packages({
  "bomFormat": "CycloneDX", "specVersion": "1.6",
  "components": [{"type": "library", "name": "zlib", "version": "1.3", "purl": "pkg:deb/debian/zlib1g@1.3"}]}).value.packages[0]`,
			Value: `{"id": "components[0]", "name": "zlib", "group": "", "version": "1.3", "purls": ["pkg:deb/debian/zlib1g@1.3"], "cpes": [], "licenses": [],
 "hashes": {}, "supplier": "", "type": "library", "relation": "unknown"}`,
		}},
		Call: remembering(name, func(operands []*ast.Term) (any, *declare.Problem) {
			content, p := document(operands[0])
			if p != nil {
				return nil, p
			}
			value, err := sbom.Packages(content)
			if err != nil {
				return nil, problem("document", err)
			}
			return value, nil
		}),
	}
}
