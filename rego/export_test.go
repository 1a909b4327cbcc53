package rego

import (
	"context"

	"github.com/open-policy-agent/opa/v1/rego"
)

// CompileFor is [Compile] with another decision in the place of the library's,
// for stories about the engine that no ClusterImagePolicy can tell.
func CompileFor(ctx context.Context, source Source, query string) (*Set, error) {
	set, err := Compile(ctx, source)
	if err != nil {
		return nil, err
	}
	text, err := Modules(ctx, source.Policies)
	if err != nil {
		return nil, err
	}
	if err := add(text.Modules, source.Modules); err != nil {
		return nil, err
	}
	compiler, err := compiled(text.compiled())
	if err != nil {
		return nil, err
	}
	set.decision, err = rego.New(rego.Compiler(compiler), rego.Query(query), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
	return set, err
}
