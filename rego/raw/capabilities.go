package raw

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/apart"
)

// stays says of a builtin that nothing turns it on: schemas name files of the host, and
// what they name by URL is fetched past the guard of our dials.
func stays(name string) bool { return name == "json.match_schema" || name == "json.verify_schema" }

// Reaches says of a builtin that it reaches the hosts of [Allow] and no others.
func Reaches(name string) bool { return name == "http.send" || name == "net.lookup_ip_addr" }

// Allowable are the builtins of [Off] that an installation may turn on.
func Allowable() []string { return slices.DeleteFunc(Off(), stays) }

// Off are the builtins that are off unless an installation turns them on: those that
// reach out, and those that a few bytes keep busy for ever.
func Off() []string {
	var out []string
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		if slices.Contains(apart.Reaching(), b.Name) || apart.Unbounded(b.Name) {
			out = append(out, b.Name)
		}
	}
	slices.Sort(out)
	return out
}

// capabilities are what the texts of a policy may call: all that OPA has but for what is
// off, and ours but for the one that asks policies.
func capabilities(allow Allow, texts string) *ast.Capabilities {
	out := ast.CapabilitiesForThisVersion()
	out.AllowNet = slices.Clone(allow.Hosts)
	if out.AllowNet == nil {
		out.AllowNet = []string{} // nil is every host
	}
	off := slices.DeleteFunc(Off(), func(name string) bool { return slices.Contains(allow.Builtins, name) })
	out.Builtins = slices.DeleteFunc(out.Builtins, func(b *ast.Builtin) bool {
		return slices.Contains(off, b.Name) || b.Name == "assay.policy" || !apart.Named(b, texts)
	})
	return out
}

// hinted says of a builtin that is unknown because it is off that it is.
func hinted(message string) string {
	_, name, found := strings.Cut(message, "undefined function ")
	if found && slices.Contains(Off(), name) {
		return message + ", which is off in this installation"
	}
	return message
}
