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

// capabilities are what a module may use: of all that is pure and bounded, what
// its text could name. A compiler keeps the types of all that it is given, which
// is more than most modules are.
func capabilities(text string) *ast.Capabilities {
	out := ast.CapabilitiesForThisVersion()
	out.AllowNet = []string{}
	refused := slices.Concat(impure(), unbounded())
	out.Builtins = slices.DeleteFunc(out.Builtins, func(b *ast.Builtin) bool {
		// GraphQL's parser calls itself as deep as its text nests, which ends the
		// process and not the evaluation.
		return slices.Contains(refused, b.Name) || strings.HasPrefix(b.Name, "graphql.") || !named(b, text)
	})
	return out
}

// named says whether a text has the parts of a builtin's name in it. Operators
// have no name in a text, and what is internal the compiler writes itself.
func named(b *ast.Builtin, text string) bool {
	if b.Infix != "" || strings.HasPrefix(b.Name, "internal.") {
		return true
	}
	for part := range strings.SplitSeq(b.Name, ".") {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
