package trust

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Roots is the trust material of one decision: the default root and the TrustRoots
// that policies name, as they serve now.
type Roots struct {
	// Default verifies authorities without trustRootRef; nil when there is none.
	Default *Root
	// DefaultCause says why there is no default root, for messages.
	DefaultCause string
	// Named are the TrustRoot resources by name.
	Named map[string]*Root
	// Causes say why a TrustRoot that exists has no root now, by its name.
	Causes map[string]string
}

// Lookup finds the root that a trustRootRef names; the empty name is the default.
// The text of a name that nothing defines is policy-controller's.
func (r Roots) Lookup(ref string) (*Root, error) {
	if ref == "" {
		switch {
		case r.Default != nil:
			return r.Default, nil
		case r.DefaultCause != "":
			return nil, errors.New(r.DefaultCause)
		}
		return nil, errors.New("no trusted root is configured")
	}
	if named := r.Named[ref]; named != nil {
		return named, nil
	}
	if cause := r.Causes[ref]; cause != "" {
		return nil, fmt.Errorf("trustRootRef %s: %s", ref, cause)
	}
	return nil, fmt.Errorf("trustRootRef %s not found", ref)
}

// Generation names the content of all roots together.
func (r Roots) Generation() string {
	var out strings.Builder
	if r.Default != nil {
		out.WriteString(r.Default.hash)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Named)) {
		if named := r.Named[name]; named != nil {
			fmt.Fprintf(&out, " %q=%s", name, named.hash)
		}
	}
	return contentHash([]byte(out.String()))
}
