package wiring

import (
	"fmt"
	"maps"
	"slices"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

// SourcePrefixes are where an ImagePolicy may have signatures looked for.
func (f *Flags) SourcePrefixes() (allowed []string, err error) {
	for _, text := range f.Sources {
		prefix, err := resource.ParseSourcePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--image-policy-source: %w", err)
		}
		allowed = append(allowed, prefix)
	}
	return allowed, nil
}

// restrict has the authorities fail of each ImagePolicy that look for signatures where the
// installation does not allow it.
func (d *Documents) restrict(allowed []string) {
	for i, policy := range d.Policies {
		gaps := resource.Outside(policy, allowed)
		if len(gaps) > 0 {
			maps.Copy(gaps, policy.Gaps)
			d.Policies[i].Gaps = gaps
		}
	}
}

// outside is what is wrong with the sources of a policy as it is applied.
func outside(policy cip.Policy, allowed []string) (problems []string) {
	found := resource.Outside(policy, allowed)
	for _, path := range slices.Sorted(maps.Keys(found)) {
		problems = append(problems, path+"."+found[path])
	}
	return problems
}
