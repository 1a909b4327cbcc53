package webhook

import (
	"maps"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/rego"
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
	const kind = "ClusterImagePolicy "
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.images, func(name string, _ *lru.Cache[string, struct{}]) bool {
		_, ok := outcomes[kind+name]
		return !ok
	})
	for id, outcome := range outcomes {
		if len(id) <= len(kind) || id[:len(kind)] != kind {
			continue
		}
		seen, ok := m.images[id[len(kind):]]
		if !ok {
			seen, _ = lru.New[string, struct{}](mostMatched) // fails for sizes below 1 alone
			if m.images == nil {
				m.images = map[string]*lru.Cache[string, struct{}]{}
			}
			m.images[id[len(kind):]] = seen
		}
		outcome.MatchedImages = int64(seen.Len())
		outcomes[id] = outcome
	}
}
