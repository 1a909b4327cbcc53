package webhook

import (
	"maps"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// mostMatched bounds how many images of one policy are told apart.
const mostMatched = 1000

// matched counts the images that each policy matched of late, for its status: what this
// replica was asked about.
type matched struct {
	mu     sync.Mutex
	images map[string]*lru.Cache[string, struct{}] // digests by policy
}

// saw notes a decision.
func (m *matched) saw(decision rego.Decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, image := range decision.Images {
		for _, policy := range image.Policies {
			seen, ok := m.images[policy.Name]
			if !ok {
				continue // no policy of the cluster
			}
			seen.Add(image.Digest, struct{}{})
		}
	}
}

// count writes the counts into outcomes, and forgets policies that are none any more.
func (m *matched) count(outcomes map[string]status.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	there := map[string]bool{}
	for id := range outcomes {
		if name, ok := policyOf(id); ok {
			there[name] = true
		}
	}
	maps.DeleteFunc(m.images, func(name string, _ *lru.Cache[string, struct{}]) bool { return !there[name] })
	for id, outcome := range outcomes {
		name, ok := policyOf(id)
		if !ok {
			continue
		}
		seen, ok := m.images[name]
		if !ok {
			seen, _ = lru.New[string, struct{}](mostMatched) // fails for sizes below 1 alone
			if m.images == nil {
				m.images = map[string]*lru.Cache[string, struct{}]{}
			}
			m.images[name] = seen
		}
		outcome.MatchedImages = int64(seen.Len())
		outcomes[id] = outcome
	}
}

// policyOf is the name of the policy that an outcome is of, if it is of one with images.
func policyOf(id string) (name string, ok bool) {
	kind, name, _ := strings.Cut(id, " ")
	return name, kind == cip.ClusterImagePolicyKind || kind == cip.ImagePolicyKind
}
