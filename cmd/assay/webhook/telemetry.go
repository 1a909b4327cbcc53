package webhook

import (
	"context"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// observed lets metrics, traces and the log have what the engine and the builtins say. It
// comes before the policies are read. The function ends the export of traces.
func (r *reloader) observed(ctx context.Context, config *server.Config, export telemetry.Export) (end func(), err error) {
	seen := telemetry.New(config.Metrics.Registerer())
	if end, err = seen.Trace(ctx, export); err != nil {
		return nil, err
	}
	looked := &builtins.Looked{}
	seen.WatchCache("answers", &looked.Answers)
	seen.WatchCache("verdicts", &looked.Verdicts)
	seen.WatchCache("admitted", &looked.Admitted)
	seen.WatchRoots(r.rootStates)
	if c := r.cluster; c != nil {
		seen.WatchCluster(telemetry.Cluster{
			Synced: c.watcher.Synced, Leading: c.lease.Leading, Stale: c.stale, Dropped: c.denials.Dropped, Limited: c.denials.Limited,
		})
	}
	r.wiring.Watched = wiring.Watched{Observer: seen, Heard: seen.Heard, Looked: looked, NoToken: func(err error) {
		r.log.Error("no credentials of a cloud", "error", err)
	}}
	r.telemetry, config.Observer = seen, told{seen}
	return end, nil
}

// serves lets the metrics know which set does.
func (r *reloader) serves(set *rego.Set) {
	if r.telemetry != nil {
		r.telemetry.Serves(set)
	}
}

// rootStates are the trust roots that policies rely on.
func (r *reloader) rootStates() []telemetry.Root {
	roots, _ := r.wanted()
	out := make([]telemetry.Root, 0, len(roots))
	for name, source := range roots {
		root := telemetry.Root{Name: name}
		serving, _ := source.Serving()
		root.Serving = serving != nil
		root.Current = root.Serving && wiring.RootFailure(source) == nil
		root.Checked, root.Expires = wiring.RootAge(source)
		out = append(out, root)
	}
	return out
}

// stale is since when objects of the cluster are out of date.
func (c *cluster) stale() (since []time.Time) {
	for _, problem := range c.watcher.Problems() {
		since = append(since, problem.Since)
	}
	return since
}

// told tells of the server's reviews in the words of telemetry.
type told struct{ telemetry *telemetry.Telemetry }

var _ server.Observer = told{}

// Deciding implements [server.Observer].
func (t told) Deciding(ctx context.Context, asked server.Asked) (context.Context, func(string) server.Account) {
	ctx, end := t.telemetry.Deciding(ctx, telemetry.Asked(asked))
	return ctx, func(result string) server.Account {
		known := end(result)
		out := server.Account{
			Trace: known.Trace, Set: known.Set, Evaluations: known.Evaluations, Codes: known.Codes, Failed: known.Failed,
			Stages: make([]server.Spent, len(known.Stages)),
		}
		for i, spent := range known.Stages {
			out.Stages[i] = server.Spent(spent)
		}
		return out
	}
}
