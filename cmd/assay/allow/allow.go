// Package allow has the flags that say what policies in Rego may do beyond what they may
// anyway: call builtins that are off, reach hosts, and ask registries.
package allow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/raw"
)

// Flags are those of every command that compiles policies in Rego. The zero value allows
// nothing.
type Flags struct {
	builtins   []string
	hosts      []string
	registries []string
	v0         bool
}

// Add adds the flags to a command.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.builtins, "allow-builtin", nil, "`name` of a builtin that policies in Rego may call though it is off, such as http.send (repeatable)")
	flags.StringArrayVar(&f.hosts, "allow-net", nil, "`host` that http.send may reach, or net.lookup_ip_addr ask for (repeatable)")
	flags.BoolVar(&f.v0, "v0-compatible", false, "read files that are not Rego v1 as Rego v0")
}

// V0 reports whether files that are not Rego v1 are read as Rego v0.
func (f *Flags) V0() bool { return f.v0 }

// Off are the builtins that policies in Rego may not call.
func (f *Flags) Off() []string {
	return slices.DeleteFunc(raw.Off(), func(name string) bool { return slices.Contains(f.builtins, name) })
}

// AddRegistries adds the flag of commands that ask registries.
func (f *Flags) AddRegistries(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.registries, "policy-registry", nil,
		"registry `host` that policies in Rego may ask besides those of the images and of ClusterImagePolicies (repeatable)")
}

// Check says what is wrong with the flags.
func (f *Flags) Check() error {
	for _, name := range f.builtins {
		if may := raw.Allowable(); !slices.Contains(may, name) {
			return fmt.Errorf("--allow-builtin: got %q, want one that is off and may be on: %s", name, strings.Join(may, ", "))
		}
	}
	reaches := slices.IndexFunc(f.builtins, raw.Reaches)
	switch {
	case reaches >= 0 && len(f.hosts) == 0:
		return fmt.Errorf("--allow-builtin %s: got no --allow-net, want the hosts that it may reach", f.builtins[reaches])
	case reaches < 0 && len(f.hosts) > 0:
		return errors.New("--allow-net: got it without a builtin that reaches hosts, want --allow-builtin http.send")
	}
	for _, host := range f.hosts {
		if host == "" || strings.ContainsAny(host, ":/ *") {
			return fmt.Errorf("--allow-net: got %q, want the name of a host, without a port", host)
		}
	}
	_, err := reachable(f.registries)
	return err
}

// Into puts what the flags say into the source of a policy set. Requires that Check is nil.
func (f *Flags) Into(source *rego.Source) {
	source.V0, source.Allow.Builtins, source.Allow.Hosts = f.v0, f.builtins, f.hosts
	source.Registries, _ = reachable(f.registries) // checked
}

// reachable spells registries as references do: docker.io is index.docker.io.
func reachable(hosts []string) ([]string, error) {
	out := make([]string, len(hosts))
	for i, host := range hosts {
		reference, err := oci.Parse(host + "/any")
		if err != nil || strings.Contains(host, "/") || reference.Repository != "any" && reference.Repository != "library/any" {
			return nil, fmt.Errorf("--policy-registry: got %q, want the host of a registry", host)
		}
		out[i] = reference.Registry
	}
	return out, nil
}
