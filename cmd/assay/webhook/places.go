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

// namespaces are those of the cluster now, whatever is loading.
func (c *cluster) namespaces() *rego.Namespaces {
	c.places.mu.Lock() // asked within it: who waited gets no older ones than who went before
	defer c.places.mu.Unlock()
	labels, of := c.watcher.Namespaces()
	if c.places.made == nil || c.places.of != of {
		c.places.made, c.places.of = rego.NewNamespaces(labels), of
	}
	return c.places.made
}
