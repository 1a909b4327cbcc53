package pure

import (
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/vex"
	"github.com/assay-dev/assay/predicate/vuln"
)

func vexApply() declare.Builtin {
	const name = "vex.apply"
	return declare.Builtin{
		Name: name,
		Text: "Takes out of findings what OpenVEX statements say does not affect the product. Whatever is unclear leaves the finding in. " +
			"It believes the documents: hand it those whose signature was verified.",
		Args: []declare.Field{
			declare.Named("findings", declare.List(types.A), "findings in the shape of `vuln.findings`"),
			declare.Named("documents", declare.List(types.A), "OpenVEX documents, in-toto statements about them, their text, or cosign's `{\"Data\": …}` around them"),
			declare.Named("products", types.NewAny(declare.List(types.S), types.NewSet(types.S)),
				"the names by which the statements may know the image: package URLs, digests as in `sha256:…`, any other identifier"),
			declare.Named("at", types.N, "when, in nanoseconds since 1970, as `time.now_ns()` has it: statements of later are not made yet"),
		},
		Answer: "what is left",
		Members: []declare.Field{declare.ObjectOrNull("value", "null when not `ok`",
			declare.Objects("remaining", "the findings that no statement removes, in their order", findingMembers()...),
			declare.Objects("removed", "the others, in their order",
				declare.Object("finding", "as it was given", findingMembers()...),
				declare.Object("statement", "what removes it",
					declare.Named("document", types.S, "the `@id` of its document"),
					declare.Named("author", types.S, "of its document"),
					declare.Named("id", types.S, "its own, often empty"),
					declare.Named("product", types.S, "the one of `products` that it names"),
					declare.Named("status", types.S, "`not_affected` or `fixed`"),
					declare.Named("justification", types.S, ""),
					declare.Named("impact_statement", types.S, ""),
					declare.Named("timestamp", types.S, "RFC 3339: when it was made, or changed last"),
				),
			),
		)},
		Codes: predicateCodes(),
		Examples: []declare.Example{{
			Expression: `vex.apply(
  [{"id": "CVE-2026-0001", "severity": "high", "package": {"name": "zlib1g", "version": "1.3"}}],
  [{
    "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://acme.example/vex/1", "author": "acme", "version": 1,
    "timestamp": "2026-06-01T12:00:00Z",
    "statements": [{
      "vulnerability": {"name": "CVE-2026-0001"}, "products": [{"@id": "pkg:oci/app"}],
      "status": "not_affected", "justification": "vulnerable_code_not_present"}]}],
  ["pkg:oci/app"], time.parse_rfc3339_ns("2026-06-02T12:00:00Z")).value.removed[0].statement.justification`,
			Value: `"vulnerable_code_not_present"`,
		}},
		Call: remembering(name, func(operands []*ast.Term) (any, *declare.Problem) {
			findings, documents, products, at, p := vexOperands(operands)
			if p != nil {
				return nil, p
			}
			value, err := vex.Apply(findings, documents, products, at)
			if err != nil {
				return nil, problem("", err) // it names the operand
			}
			return value, nil
		}),
	}
}

func vexOperands(operands []*ast.Term) (findings []vuln.Finding, documents [][]byte, products []string, at time.Time, p *declare.Problem) {
	content, p := declare.Document("findings", operands[0], bounded.MaxBytes)
	if p != nil {
		return nil, nil, nil, at, p
	}
	findings, err := vuln.Decode(content)
	if err != nil {
		return nil, nil, nil, at, problem("findings", err)
	}
	list, ok := operands[1].Value.(*ast.Array)
	if !ok {
		return nil, nil, nil, at, declare.Refuse(declare.Malformed, "documents: got "+ast.ValueName(operands[1].Value)+", want an array")
	}
	left := bounded.MaxBytes
	for i := range list.Len() {
		content, p := declare.Document("documents["+strconv.Itoa(i)+"]", list.Elem(i), left)
		if p != nil {
			return nil, nil, nil, at, p
		}
		left -= len(content)
		documents = append(documents, content)
	}
	if products, p = declare.Texts("products", operands[2]); p != nil {
		return nil, nil, nil, at, p
	}
	nanoseconds, ok := operands[3].Value.(ast.Number)
	instant, whole := nanoseconds.Int64()
	if !ok || !whole {
		return nil, nil, nil, at, declare.Refuse(declare.Malformed, "at: got "+ast.ValueName(operands[3].Value)+", want a whole number of nanoseconds")
	}
	return findings, documents, products, time.Unix(0, instant).UTC(), nil
}
