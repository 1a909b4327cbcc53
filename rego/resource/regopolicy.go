package resource

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// RegoPolicyKind is the kind of a [RegoPolicy].
const RegoPolicyKind = "RegoPolicy"

// RegoPolicy is one policy in plain Rego that is an object of its own.
type RegoPolicy struct {
	Name string
	Spec RegoPolicySpec
	// Refused is why the object cannot be read, if it cannot. Its policy fails.
	Refused string
}

// RegoPolicySpec is one policy in plain Rego. It judges every review beside all other
// policies, and whatever is wrong with it is its own failure, which denies.
type RegoPolicySpec struct {
	// Modules are the texts in Rego by names of files, which end in ".rego". One package among
	// them is the policy, "policies.NAME" or "kubernetes.admission" with what lies below it; all
	// others are libraries of its own, which no other policy sees. Required. At most 100.
	Modules map[string]string `json:"modules"`
	// Data are the documents that the policy sees below "data". No other policy sees them.
	Data map[string]any `json:"data,omitempty"`
}

// mostModules is what Modules promises.
const mostModules = 100

// moduleName is a name of a file, without directories.
var moduleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.rego$`)

// ParseRegoPolicy reads one object in YAML or JSON.
func ParseRegoPolicy(data []byte) (RegoPolicy, error) {
	tree, err := parse(data)
	if err != nil {
		return RegoPolicy{}, err
	}
	name, spec, err := read[RegoPolicySpec](tree, RegoPolicyKind)
	problems := []error{err}
	if err == nil || name != "" {
		problems = append(problems, spec.check())
	}
	if spec.Data, err = free[map[string]any](tree, "spec", "data"); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return RegoPolicy{}, err
	}
	return RegoPolicy{Name: name, Spec: spec}, nil
}

func (s RegoPolicySpec) check() error {
	var problems []error
	if len(s.Modules) == 0 {
		problems = append(problems, errors.New("spec.modules: got none, want one policy in Rego"))
	}
	if len(s.Modules) > mostModules {
		problems = append(problems, fmt.Errorf("spec.modules: got %d, want at most %d", len(s.Modules), mostModules))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Modules)) {
		if !moduleName.MatchString(name) {
			problems = append(problems, fmt.Errorf("spec.modules: got the name %.80q, want that of a file that ends in .rego", name))
		}
	}
	return errors.Join(problems...)
}

// Modules are the texts of the policy by paths that no file of a directory has.
func (p RegoPolicy) Modules() map[string]string {
	out := map[string]string{}
	for name, text := range p.Spec.Modules {
		out["cluster/regopolicies/"+p.Name+"/"+name] = text
	}
	return out
}

// String names the policy in messages.
func (p RegoPolicy) String() string { return RegoPolicyKind + " " + p.Name }
