package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/vuln"
)

func vulnFindings() declare.Builtin {
	const name = "vuln.findings"
	return declare.Builtin{
		Name: name,
		Text: "Reads the report of a vulnerability scanner as one shape: SARIF 2.1.0, and the JSON of Grype and of Trivy; the content tells which. " +
			"A report that says nothing is no clean report, and `malformed`.",
		Args: []declare.Field{documentArgument(
			"the report, cosign's vuln predicate around it, an in-toto statement about either, its text, or cosign's `{\"Data\": …}` around it")},
		Answer: "what the scanner found",
		Members: []declare.Field{declare.ObjectOrNull("value", "null when not `ok`; what the report does not say is empty",
			declare.Named("format", types.S, "`sarif`, `grype` or `trivy`"),
			declare.Object("scanner", "who looked",
				declare.Named("name", types.S, ""),
				declare.Named("version", types.S, ""),
				declare.Named("uri", types.S, ""),
				declare.Object("db", "what it knew",
					declare.Named("version", types.S, ""),
					declare.Named("uri", types.S, ""),
					declare.Named("updated_on", types.S, "RFC 3339; absent where the report does not say"),
				),
			),
			declare.Named("started_on", types.S, "RFC 3339; absent where the report does not say"),
			declare.Named("finished_on", types.S, "RFC 3339; absent where the report does not say"),
			declare.Objects("findings", "in the order of the report", findingMembers()...),
		)},
		Codes: predicateCodes(),
		Examples: []declare.Example{{
			Expression: `vuln.findings({"matches": [{
  "vulnerability": {"id": "CVE-2026-0001", "severity": "High", "fix": {"versions": ["1.3.1"], "state": "fixed"}},
  "artifact": {"name": "zlib1g", "version": "1.3", "type": "deb", "purl": "pkg:deb/debian/zlib1g@1.3"}}]}).value.findings[0]`,
			Value: `{"id": "CVE-2026-0001", "aliases": [], "severity": "high", "fixed_versions": ["1.3.1"], "state": "fixed", "suppressed": false,
 "package": {"name": "zlib1g", "version": "1.3", "purl": "pkg:deb/debian/zlib1g@1.3", "type": "deb"}}`,
		}},
		Call: remembering(name, func(operands []*ast.Term) (any, *declare.Problem) {
			content, p := document(operands[0])
			if p != nil {
				return nil, p
			}
			value, err := vuln.Findings(content)
			if err != nil {
				return nil, problem("document", err)
			}
			return value, nil
		}),
	}
}

// findingMembers are one vulnerability of one package.
func findingMembers() []declare.Field {
	return []declare.Field{
		declare.Named("id", types.S, "as the scanner reports it: `CVE-…`, `GHSA-…`, or a distribution's own"),
		declare.Named("aliases", declare.List(types.S), "other names of the same vulnerability"),
		declare.Named("severity", types.S, "`unknown`, `negligible`, `low`, `medium`, `high` or `critical`"),
		declare.Object("package", "where it was found",
			declare.Named("name", types.S, ""),
			declare.Named("version", types.S, ""),
			declare.Named("purl", types.S, "as written"),
			declare.Named("type", types.S, ""),
		),
		declare.Named("fixed_versions", declare.List(types.S), "versions of the package without the vulnerability"),
		declare.Named("state", types.S, "`fixed`, `not-fixed`, `wont-fix` or `unknown`; fixed means that a fix is there to be had"),
		declare.Named("published_on", types.S, "RFC 3339; absent where the report does not say"),
		declare.Named("modified_on", types.S, "RFC 3339; absent where the report does not say"),
		declare.Named("score", types.N, "the highest CVSS base score in the report; absent where there is none"),
		declare.Named("suppressed", types.B, "whether the report itself says that the finding was dismissed"),
	}
}
