package inline

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
)

// impure are the builtins that reach the network, the process or chance, or that
// see where the module stands. time.now_ns is not one: it is the time of the
// decision. CUE is left behind at its deadline, which is counted for the policies that
// are CUE themselves, and could not be for those that call it.
func impure() []string {
	return append(apart.Reaching(), "rand.intn", "uuid.rfc4122", "trace", "rego.parse_module",
		"rego.metadata.chain", "rego.metadata.rule", "cue.validate", "cue.validate_concrete", "io.jwt.decode_verify", "io.jwt.encode_sign", "io.jwt.encode_sign_raw")
}

// capabilities are what a module may use: of all that is pure and bounded, what
// its text could name.
func capabilities(text string) *ast.Capabilities {
	out := ast.CapabilitiesForThisVersion()
	out.AllowNet = []string{}
	refused := impure()
	out.Builtins = slices.DeleteFunc(out.Builtins, func(b *ast.Builtin) bool {
		return slices.Contains(refused, b.Name) || apart.Unbounded(b.Name) || !apart.Named(b, text)
	})
	return out
}
