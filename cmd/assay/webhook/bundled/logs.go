package bundled

import (
	"context"
	"log/slog"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
	"github.com/assay-dev/assay/rego/bundle/stores"
	"github.com/assay-dev/assay/telemetry"
)

// logged has options of a manager log decisions, and counts what becomes of that.
func (b *Bundles) logged(ctx context.Context, in Installation, options *bundle.Options) outcome.Observe {
	var losses []telemetry.Loss
	for _, loss := range decisions.Losses() {
		losses = append(losses, telemetry.Loss{Kind: loss.Name, Count: func() uint64 { return b.manager.Lost(loss) }})
	}
	counts := in.Telemetry.WatchLogs(losses)
	for _, lost := range outcome.Losses() {
		counts.Became(string(lost.Place), string(lost.Result), 0)
	}
	observe := func(place outcome.Place, result outcome.Result, entries int) {
		b.stands.became(place, result, entries)
		if result != outcome.Unasked {
			counts.Became(string(place), string(result), entries)
		}
	}
	options.About = b.stands.about
	options.Factories = decisions.Factories(decisions.Sinks{
		Observe: observe,
		Open:    func(url string) (store.Store, error) { return stores.Open(ctx, url, stores.Options{}) },
	})
	return observe
}

// logger makes who logs decisions through a manager.
func (b *Bundles) logger(observe outcome.Observe, log *slog.Logger) (*decisions.Logger, error) {
	return decisions.New(b.manager.OPA(), decisions.Options{Observe: observe, Log: log, Traced: telemetry.Traced, Bundles: b.sets.revisions})
}

// Log has a decision logged, if anybody configured that. It never waits.
func (b *Bundles) Log(ctx context.Context, made rego.Made) { b.logs.Take(ctx, made) }
