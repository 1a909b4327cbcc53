package configured

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Apart keeps bundles apart from each other, and from the discovery bundle.
type Apart struct {
	discovery string // the directory that OPA keeps it in, "" where it keeps none
}

// Check refuses a bundle that would be taken for the discovery bundle, in what is remembered of it by name or
// in the directory that OPA keeps it in, and two that OPA keeps in one: a restart would take one for the other.
// A configuration that was discovered does not say which directory is the discovery bundle's.
func (a *Apart) Check(sources []Source) error {
	for _, of := range sources {
		if of.Discovery && of.Persisted != "" {
			a.discovery = filepath.Clean(of.Persisted)
		}
	}
	seen := map[string]string{}
	for _, of := range sources {
		if of.Discovery {
			continue
		}
		at := filepath.Clean(of.Persisted)
		switch other, kept := seen[at]; {
		case of.Name == DiscoveryName, strings.EqualFold(filepath.Clean(of.Name), "discovery"):
			return fmt.Errorf("%s: got a name of the discovery bundle, want another", of.Place())
		case of.Persisted == "":
		case at == a.discovery:
			return fmt.Errorf("%s: got persist in the directory %s of the discovery bundle, want another name", of.Place(), at)
		case kept:
			return fmt.Errorf("%s: got persist in the directory %s of %s, want another name", of.Place(), at, other)
		default:
			seen[at] = of.Place()
		}
	}
	return nil
}
