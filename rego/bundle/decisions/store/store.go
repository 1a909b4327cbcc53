// Package store is the plugin assay_store: it puts decision logs and status into an
// object store, from which a fleet is read without a service of ours.
//
//	PREFIX/CLUSTER/REPLICA/decisions/2026/11/26/T120301Z-012345678.json.gz
//	PREFIX/CLUSTER/REPLICA/status.json
//
// CLUSTER and REPLICA are the labels cluster and replica of OPA's config file; without
// the latter it is OPA's id, which is another one with each start. A chunk is entries as
// lines of JSON, compressed, and is named for the time when it was closed, with the
// nanoseconds. status.json is the last status, as OPA posts it.
//
// One plugin serves both: to decision_logs it is a [plugins.LoggerPlugin], to status a
// [status.Logger].
//
// Whoever logs never waits for the store. What waits is bounded in bytes, and what finds
// no room makes the oldest chunk go, which is counted entry by entry.
package store

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/status"

	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// Name is the plugin in a config file.
const Name = "assay_store"

// Store is where objects are put. A name is a path of letters, digits, '.', '_' and '-'.
// An object that is put again takes the place of the one before.
type Store interface {
	Put(ctx context.Context, name string, data []byte) error
}

// Options are what the plugin has besides its settings.
type Options struct {
	// Open opens the store at a URL, and refuses one that it cannot open.
	Open func(url string) (Store, error)
	// Observe is told of each entry.
	Observe outcome.Observe
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Plugin is the plugin. [Factory] makes it.
type Plugin struct {
	manager *plugins.Manager
	options Options
	buffer  *buffer
	handler handler
}

var (
	_ plugins.LoggerPlugin = (*Plugin)(nil)
	_ status.Logger        = (*Plugin)(nil)
)

// Start implements [plugins.Plugin].
func (p *Plugin) Start(ctx context.Context) error {
	p.buffer.start(context.WithoutCancel(ctx))
	p.manager.UpdatePluginStatus(Name, &plugins.Status{State: plugins.StateOK})
	return nil
}

// Stop implements [plugins.Plugin]: what waits is put, in bounded time.
func (p *Plugin) Stop(ctx context.Context) {
	p.buffer.end(ctx)
	p.manager.UpdatePluginStatus(Name, &plugins.Status{State: plugins.StateNotReady})
}

// Reconfigure implements [plugins.Plugin].
func (p *Plugin) Reconfigure(_ context.Context, config any) {
	if config, ok := config.(Config); ok {
		p.buffer.configure(config)
	}
}

// Logger implements [plugins.LoggerPlugin].
func (p *Plugin) Logger() slog.Handler { return p.handler }

// Log implements [status.Logger]: the last one is put.
func (p *Plugin) Log(_ context.Context, update *status.UpdateRequestV1) error {
	encoded, err := json.Marshal(update)
	if err != nil {
		return err
	}
	p.buffer.tell(encoded)
	return nil
}
