package decisions

import (
	"errors"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins"

	"github.com/assay-dev/assay/rego/bundle/decisions/file"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
)

// Sinks are what the plugins of [Factories] need.
type Sinks struct {
	// Open opens the object store at a URL. Nil refuses every one.
	Open func(url string) (store.Store, error)
	// Observe is told of each entry that a sink takes. Nil is nobody.
	Observe outcome.Observe
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Factories are the plugins for a manager, by their names in a config file.
func Factories(sinks Sinks) map[string]plugins.Factory {
	if sinks.Open == nil {
		sinks.Open = func(string) (store.Store, error) { return nil, errors.New("there are no object stores here") }
	}
	if sinks.Observe == nil {
		sinks.Observe = func(outcome.Place, outcome.Result, int) {}
	}
	return map[string]plugins.Factory{
		file.Name:  file.New(sinks.Observe),
		store.Name: store.New(store.Options{Open: sinks.Open, Observe: sinks.Observe, Now: sinks.Now}),
	}
}
