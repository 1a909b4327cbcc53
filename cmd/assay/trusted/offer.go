package trusted

import (
	"context"
	"sync"
)

// offer is the bundle that is to be active, for who waits for another.
type offer struct {
	mu      sync.Mutex
	body    []byte
	tag     string
	changed chan struct{} // closed when there is another
}

func (o *offer) set(body []byte, tag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.body, o.tag = body, tag
	close(o.changed)
	o.changed = make(chan struct{})
}

// next waits until there is another bundle than that of the tag, or ctx ends.
func (o *offer) next(ctx context.Context, than string) (body []byte, tag string) {
	for {
		o.mu.Lock()
		body, tag, changed := o.body, o.tag, o.changed
		o.mu.Unlock()
		if body != nil && tag != than {
			return body, tag
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return body, tag
		}
	}
}
