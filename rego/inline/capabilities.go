package inline

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// impure are the builtins that reach the network, the process or chance, or that
// see where the module stands. time.now_ns is not one: it is the time of the
// decision.
func impure() []string {
	return []string{
		"http.send", "net.lookup_ip_addr", "opa.runtime", "rand.intn", "uuid.rfc4122", "trace", "rego.parse_module",
		"rego.metadata.chain", "rego.metadata.rule",
		"json.match_schema", "json.verify_schema", // schemas name others by URL
		"io.jwt.decode_verify", "io.jwt.encode_sign", "io.jwt.encode_sign_raw",
	}
}

// unbounded are the builtins that a few bytes keep busy for as long as one likes,
// deaf to the deadline.
func unbounded() []string {
	return []string{
		"bits.lsh",                // bits.lsh(1, 2e9)
		"graph.reachable_paths",   // exponential: fourteen nodes that reach each other
		"strings.render_template", // loops within loops of its own
	}
}

// capabilities are what an inline module may use.
func capabilities() *ast.Capabilities {
	out := ast.CapabilitiesForThisVersion()
	out.AllowNet = []string{}
	refused := slices.Concat(impure(), unbounded())
	out.Builtins = slices.DeleteFunc(out.Builtins, func(b *ast.Builtin) bool {
		// GraphQL's parser calls itself as deep as its text nests, which ends the
		// process and not the evaluation.
		return slices.Contains(refused, b.Name) || strings.HasPrefix(b.Name, "graphql.")
	})
	return out
}
