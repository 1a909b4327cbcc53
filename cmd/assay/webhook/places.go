package webhook

import (
	"sync"

	"github.com/assay-dev/assay/rego"
)

// places are the namespaces as policies read them, made anew when one of them changed.
type places struct {
	mu   sync.Mutex
	of   uint64
	made *rego.Namespaces
}

// namespaces are those of the cluster now.
func (c *cluster) namespaces() *rego.Namespaces {
	objects := c.watcher.Objects()
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	if c.places.made == nil || c.places.of != objects.Places {
		c.places.made, c.places.of = rego.NewNamespaces(objects.Namespaces), objects.Places
	}
	return c.places.made
}
