package builtins

import (
	"github.com/assay-dev/assay/builtins/admitted"
	"github.com/assay-dev/assay/builtins/keep"
	"github.com/assay-dev/assay/builtins/oci"
)

// learning is what is learned from an answer: about which image, as what question.
type learning struct{ image, question string }

// Reuse lets questions about images, registry/repository@digest each, be answered by what
// was answered when the policy set, named by its hash, admitted them in this namespace.
func (s *Session) Reuse(set string, images []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scope, s.unmoved = s.scopeOf(set), map[string]bool{}
	for _, image := range images {
		s.unmoved[image] = true
	}
}

// scopeOf is who is admitted here by a policy set, and by the trust roots of now.
func (s *Session) scopeOf(set string) admitted.Scope {
	return admitted.Scope{Set: set + " " + s.generation, Namespace: s.tenants.Namespace()}
}

// recalled is the answer to a question that may be reused. shared is its name among all
// decisions.
func (s *Session) recalled(q question, shared string) (answered, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learns[q.name] = learning{q.about, shared}
	if q.about == "" || !s.unmoved[q.about] {
		return answered{}, false
	}
	return s.facts.admitted.Recall(s.scope, shared, s.facts.options.Now())
}

// Decided tells what became of the images of a decision, by the references that the object
// has: what was answered about those with a digest may be reused if they were admitted.
func (s *Session) Decided(set string, allowed bool, images []string) {
	judged := map[string]bool{}
	for _, image := range images {
		if reference, err := oci.Parse(image); err == nil && reference.Digest != "" {
			judged[reference.Name] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	scope, now := s.scopeOf(set), s.facts.options.Now()
	for name, about := range s.learns {
		answer, ok := s.answers[name]
		if !ok || !judged[about.image] {
			continue
		}
		// What is recalled was not got anew: it renews nothing.
		recalled := answer
		recalled.standing = admitted.Missing
		s.facts.admitted.Learn(scope, about.question, allowed, answer.standing,
			keep.Lasting[answered]{Value: recalled, Until: answer.until, Cost: answer.cost}, now)
	}
}
