package pure

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/predicate/slsa"
)

func slsaProvenance() declare.Builtin {
	const name = "slsa.provenance"
	return declare.Builtin{
		Name: name,
		Text: "Reads SLSA provenance, v0.2 and v1, as one shape. What the predicate does not say is empty, and nothing is made up for it. " +
			"Other versions are `unsupported`.",
		Args:   []declare.Field{documentArgument("an in-toto statement, such as `statement` of `cosign.attestations`")},
		Answer: "the provenance",
		Members: []declare.Field{declare.ObjectOrNull("value", "null when not `ok`",
			declare.Named("version", types.S, "of the predicate, `0.2` or `1`"),
			declare.Object("builder", "who built",
				declare.Named("id", types.S, "a URI"),
				declare.Named("version", declare.Words(), "of each component of the builder; v1 only"),
			),
			declare.Named("build_type", types.S, "a URI"),
			declare.Named("invocation_id", types.S, "of the build"),
			declare.Object("source", "what was built: `invocation.configSource` of v0.2. In v1 it depends on the build type: "+
				"GitHub's workflows and Google's triggered builds are known, and for every other it is empty",
				declare.Named("uri", types.S, "as written, in v0.2 often `git+https://…@refs/…`"),
				declare.Named("repository", types.S, "the URI without `git+` and without what follows the `@` behind the path"),
				declare.Named("ref", types.S, "what follows that `@`, or the ref that v1 has by itself"),
				declare.Named("digest", declare.Words(), "by algorithm, of the source or of the material with its URI"),
				declare.Named("workflow", types.S, "the path of the workflow in the repository"),
			),
			declare.Objects("materials", "those of v0.2, and the resolved dependencies of v1", resourceMembers()...),
			declare.Object("parameters", "free-form JSON",
				declare.Named("external", types.A, "`externalParameters` of v1, `invocation.parameters` of v0.2; null where there are none"),
				declare.Named("internal", types.A, "`internalParameters` of v1, `invocation.environment` of v0.2; null where there are none"),
			),
			declare.Named("started_on", types.S, "RFC 3339; absent where the predicate does not say"),
			declare.Named("finished_on", types.S, "RFC 3339; absent where the predicate does not say"),
			declare.Objects("subjects", "those of the statement", resourceMembers()...),
		)},
		Codes: predicateCodes(),
		Examples: []declare.Example{{
			Expression: `slsa.provenance({
  "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
  "subject": [{"name": "ghcr.io/acme/app", "digest": {"sha256": "22f5"}}],
  "predicate": {
    "buildDefinition": {
      "buildType": "https://actions.github.io/buildtypes/workflow/v1",
      "externalParameters": {"workflow": {
        "repository": "https://github.com/acme/app", "ref": "refs/tags/v1", "path": ".github/workflows/release.yml"}}},
    "runDetails": {"builder": {"id": "https://github.com/actions/runner/github-hosted"}}}}).value.source`,
			Value: `{"uri": "git+https://github.com/acme/app@refs/tags/v1", "repository": "https://github.com/acme/app", "ref": "refs/tags/v1", "digest": {},
 "workflow": ".github/workflows/release.yml"}`,
		}},
		Call: remembering(name, func(operands []*ast.Term) (any, *declare.Problem) {
			content, p := document(operands[0])
			if p != nil {
				return nil, p
			}
			value, err := slsa.FromStatement(content)
			if err != nil {
				return nil, problem("document", err)
			}
			return value, nil
		}),
	}
}

// resourceMembers are what went into a build, or came out of it.
func resourceMembers() []declare.Field {
	return []declare.Field{
		declare.Named("name", types.S, ""),
		declare.Named("uri", types.S, ""),
		declare.Named("digest", declare.Words(), "by algorithm"),
	}
}
