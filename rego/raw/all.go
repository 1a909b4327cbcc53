package raw

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// CheckAll refuses modules of bundles that call a builtin that is off: one that reaches the network,
// the process or the disk, or that a few bytes keep busy or end the process with. All modules are
// looked at, also those that no policy imports: OPA evaluates them by itself where an installation
// has its Data API, and where a configuration has it mask and drop entries of decision logs, without
// the bounds of policies. They may call the functions of library.
func CheckAll(modules, library map[string]string, v0 bool, off []string) error {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.Builtins = slices.DeleteFunc(capabilities.Builtins, func(b *ast.Builtin) bool { return slices.Contains(off, b.Name) })
	parsed, calls := map[string]*ast.Module{}, false
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		module, err := ast.ParseModuleWithOpts(path, modules[path], ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil && v0 {
			module, err = ast.ParseModuleWithOpts(path, modules[path], ast.ParserOptions{RegoVersion: ast.RegoV0})
		}
		if err != nil {
			return err
		}
		parsed[path] = module
		calls = calls || strings.Contains(modules[path], "assay")
	}
	if !calls {
		library = nil // which takes longer than all else
	}
	for path, text := range library {
		module, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			return err
		}
		parsed["library/"+path] = module
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities)
	if compiler.Compile(parsed); compiler.Failed() {
		return fmt.Errorf("modules of the bundles, which may call nothing that is off: %w", compiler.Errors)
	}
	return nil
}
