package bundled

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/trusted"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/server"
)

// canaryFlags say which bundle is tried, and what that may take.
type canaryFlags struct {
	Canary map[string]string // one resource, by the bundle that it is to replace
	Share  float64
	Sample float64
	Fetch  int
}

func (f *canaryFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringToStringVar(&f.Canary, "canary", nil, "`bundle=resource` of a candidate that is tried on live decisions, after they are answered, in the place of the bundle")
	flags.Float64Var(&f.Share, "canary-cpu", 0.2, "share of one core that the candidate may take")
	flags.Float64Var(&f.Sample, "canary-sample", 1, "share of decisions that the candidate is tried on, from 0 to 1")
	flags.IntVar(&f.Fetch, "canary-fetch", 0, "questions to registries in a minute that only the candidate asks; without any its outcome is unknown where it needs one")
}

func (f *canaryFlags) check() error {
	switch {
	case len(f.Canary) > 1:
		return fmt.Errorf("--canary: got %d candidates, want one at a time", len(f.Canary))
	case len(f.Canary) == 0:
		return nil
	case !(f.Share > 0 && f.Share <= 1):
		return fmt.Errorf("--canary-cpu: got %v, want more than 0 and at most 1", f.Share)
	case !(f.Sample > 0 && f.Sample <= 1):
		return fmt.Errorf("--canary-sample: got %v, want more than 0 and at most 1", f.Sample)
	case f.Fetch < 0:
		return fmt.Errorf("--canary-fetch: got %d, want 0 or more", f.Fetch)
	}
	return nil
}

// Candidate is a bundle that is tried. A manager of its own fetches it, and all other bundles
// beside it: what it is tried with is the set that would serve.
type Candidate struct {
	*canary.Canary
	in      Installation
	log     *slog.Logger
	renew   chan struct{} // tells that other policies serve
	name    string
	manager *bundle.Manager
	trust   *trusted.Sources

	mu      sync.Mutex
	content *bundle.Content // what was fetched last
}

func (b *Bundles) openCandidate(ctx context.Context, in Installation, config *server.Config, text []byte) (*Candidate, error) {
	out := &Candidate{in: in, log: config.Logger, renew: make(chan struct{}, 1)}
	var resource string
	for out.name, resource = range b.flags.Canary {
	}
	text, err := bundle.Candidate(text, out.name, resource)
	if err != nil {
		return nil, err
	}
	out.Canary = canary.New(in.canaryOptions(b.flags.canaryFlags, config))
	log := config.Logger.With("canary", resource)
	options := bundle.Options{
		Config: text, Log: log,
		Prepare: func(ctx context.Context, next bundle.Content) (func(), error) {
			policies, err := in.Tried(ctx, next)
			if err != nil {
				return nil, err
			}
			return func() { out.tries(next, policies) }, nil
		},
		Removed: func(context.Context, bundle.Content) {}, // without discovery nothing is
	}
	if b.trust != nil {
		if out.trust, err = b.bootstrap(ctx, in.Wiring.Flags, log); err != nil {
			return nil, err
		}
		out.trust.Own = filepath.Join(b.own, "canary")
		out.trust.Load = func(ctx context.Context, name string) error { return out.manager.Load(ctx, name) }
		options.Sources = out.trust.See
	}
	if out.manager, err = bundle.Open(options); err != nil {
		return nil, err
	}
	if config.Token == nil && config.TLS.ClientCAFile == "" {
		return nil, errors.New("got nobody who may read what it says, want --api-token-file or --client-ca")
	}
	config.Mounted = append(config.Mounted, server.Mounted{Method: http.MethodGet, Path: "/canary", Handler: http.HandlerFunc(out.report)})
	return out, nil
}

// canaryOptions are the installation's.
func (in Installation) canaryOptions(f canaryFlags, config *server.Config) canary.Options {
	outcomes := make([]string, len(canary.Outcomes()))
	for i, outcome := range canary.Outcomes() {
		outcomes[i] = string(outcome)
	}
	counts := in.Telemetry.WatchCanary(outcomes)
	return canary.Options{
		Share: f.Share, Skip: 1 - f.Sample, AnchoredIdentities: in.Wiring.Flags.IdentityRegexp == "anchored",
		Namespaces: in.Wiring.Namespaces, FetchPerMinute: f.Fetch, Log: config.Logger,
		Fetch: &recording.Fetch{
			Registry: in.Wiring.Registry(), Credentials: in.Wiring.Credentials, Timeout: config.Timeout,
			Tenants: func() tenant.Source { return in.Wiring.Tenants },
		},
		Hooks: canary.Hooks{
			Decided: func(o canary.Outcome) { counts.Decided(string(o)) },
			Dropped: counts.Dropped, Worked: counts.Worked, Fetched: counts.Fetched,
		},
	}
}

// tries has a content tried from now on.
func (c *Candidate) tries(content bundle.Content, policies recording.Policies) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.content = &content
	next := canary.Candidate{Name: c.name, Policies: policies}
	for _, of := range content.Bundles {
		if of.Name == c.name {
			next.Revision = of.Revision
		}
	}
	c.Canary.Candidate(&next)
}

// again has the candidate tried with the policies that are beside it now.
func (c *Candidate) again(ctx context.Context) {
	c.mu.Lock()
	content := c.content
	c.mu.Unlock()
	if content == nil {
		return
	}
	policies, err := c.in.Tried(ctx, *content)
	if err != nil {
		c.log.Error("candidate", "error", err)
		return
	}
	c.tries(*content, policies)
}

// report answers what became of the candidate so far.
func (c *Candidate) report(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(c.Report())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // who does not read it has nobody to tell
}

// run tries until ctx ends.
func (c *Candidate) run(ctx context.Context) error {
	if err := c.manager.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	var work sync.WaitGroup
	if c.trust != nil {
		work.Go(func() { c.trust.Run(ctx) })
	}
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.renew:
				c.again(ctx)
			}
		}
	})
	c.Run(ctx)
	work.Wait()
	c.manager.Stop(context.WithoutCancel(ctx))
	return nil
}
