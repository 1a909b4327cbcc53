package bundled

import (
	"maps"
	"sync"
	"weak"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle"
)

// sets know the bundles that sets of policies are made of, as long as somebody has the sets: an
// entry of the decision log is made after the decision, when others may be active.
type sets struct {
	mu  sync.Mutex
	now map[string]string
	of  map[weak.Pointer[rego.Set]]map[string]string
}

// serves says of which bundles the set is that serves from now on.
func (s *sets) serves(set *rego.Set, content bundle.Content) {
	revisions := map[string]string{}
	for _, of := range content.Bundles {
		revisions[of.Name] = of.Revision
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[weak.Pointer[rego.Set]]map[string]string{}
	}
	maps.DeleteFunc(s.of, func(of weak.Pointer[rego.Set], _ map[string]string) bool { return of.Value() == nil })
	s.of[weak.Make(set)], s.now = revisions, revisions
}

// revisions are those of a set, by bundle. One that is not known yet is the latest.
func (s *sets) revisions(set *rego.Set) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of, known := s.of[weak.Make(set)]; known {
		return of
	}
	return s.now
}
