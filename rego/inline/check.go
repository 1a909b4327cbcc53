package inline

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/schema"
)

// compiled compiles a module, which is what a text says, alone. It may read data
// of its own package only, and call what the capabilities list. Where it has
// annotations, the schemas that they name hold.
func compiled(ctx context.Context, file, text string, module *ast.Module, own ast.Ref) (*ast.Compiler, error) {
	if err := checkImports(module, own); err != nil {
		return nil, err
	}
	schemas, err := schema.Set(module)
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities(text)).WithSchemas(schemas).WithUseTypeCheckAnnotations(true)
	// Here references are resolved, imports are gone and locals have names of
	// their own: a reference to data is one. Later stages erase print(data).
	compiler.WithStageAfterID(ast.StageRewriteLocalVars, ast.CompilerStageDefinition{
		Name:       "CheckInline",
		MetricName: "check_inline",
		Stage: func(c *ast.Compiler) *ast.Error {
			if err := ctx.Err(); err != nil {
				return ast.NewError(ast.CompileErr, module.Package.Location, "%v", err)
			}
			if err := apart.CheckData(c.Modules[file], func(ref ast.Ref, _ *ast.Location) *ast.Error { return foreign(ref, own) }); err != nil {
				return err
			}
			if err := apart.CheckMocks(c.Modules[file]); err != nil {
				return err
			}
			return apart.CheckGrowth(c.Modules[file])
		},
	})
	if compiler.Compile(map[string]*ast.Module{file: module}); compiler.Failed() {
		return nil, compiler.Errors
	}
	return compiler, nil
}

// checkImports refuses imports of foreign data, used or not. OPA refuses those
// that take the name data away.
func checkImports(module *ast.Module, own ast.Ref) error {
	for _, imported := range module.Imports {
		path, ok := imported.Path.Value.(ast.Ref)
		if !ok {
			continue // future.keywords
		}
		if err := foreign(path, own); err != nil {
			return err
		}
	}
	return nil
}

// foreign refuses a reference to data that is not written out as far as the
// module's own package. A reference whose path depends on a value is foreign
// however it turns out: data[x] would change its meaning with the move.
func foreign(ref, own ast.Ref) *ast.Error {
	if len(ref) == 0 || !ref[0].Equal(ast.DefaultRootDocument) || ref.HasPrefix(own) {
		return nil
	}
	return ast.NewError(ast.CompileErr, ref[0].Location, "got a reference to %s, want none to data outside of %s", ref, own)
}
