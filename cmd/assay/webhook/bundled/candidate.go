package bundled

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/canary"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/trusted"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/server"
)

// canaryFlags say which bundle is tried, and what that may take.
type canaryFlags struct {
	Canary map[string]string // one resource, by the bundle that it is to replace
	Try    canary.Flags
}

func (f *canaryFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringToStringVar(&f.Canary, "canary", nil, "`bundle=resource` of a candidate that is tried on live decisions, after they are answered, in the place of the bundle")
	f.Try.Add(cmd)
}

func (f *canaryFlags) check() error {
	if len(f.Canary) > 1 {
		return fmt.Errorf("--canary: got %d candidates, want one at a time", len(f.Canary))
	}
	if len(f.Canary) == 0 && f.Try == (canary.Flags{}) {
		return nil // of no command
	}
	return f.Try.Check(len(f.Canary) > 0)
}

// Candidate is a bundle that is tried. A manager of its own fetches it, and all other bundles
// beside it: what it is tried with is the set that would serve.
type Candidate struct {
	tried   *canary.Canary
	in      Installation
	log     *slog.Logger
	renew   chan struct{} // tells that other policies serve
	name    string
	manager *bundle.Manager
	trust   *trusted.Sources

	mu      sync.Mutex
	content *bundle.Content // what was fetched last
	failure error           // why nothing is fetched, or what was fetched is not tried with the policies of now
}

func (b *Bundles) openCandidate(in Installation, config *server.Config, text []byte) (*Candidate, error) {
	out := &Candidate{in: in, log: config.Logger, renew: make(chan struct{}, 1)}
	var resource string
	for out.name, resource = range b.flags.Canary {
	}
	text, err := configured.Candidate(text, out.name, resource)
	if err != nil {
		return nil, err
	}
	out.tried = canary.New(out.options(b.flags.canaryFlags, config))
	log := config.Logger.With("canary", resource)
	options := bundle.Options{
		Config: text, Log: log, Library: b.library,
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
		out.trust = b.sources(b.trust.Policy, filepath.Join(b.own, "canary"), log)
		options.Sources = out.trust.See
	}
	if out.manager, err = bundle.Open(options); err != nil {
		return nil, err
	}
	config.Mounted = append(config.Mounted, server.Mounted{Method: http.MethodGet, Path: "/canary", Handler: http.HandlerFunc(out.report)})
	return out, nil
}

// options are the installation's.
func (c *Candidate) options(f canaryFlags, config *server.Config) canary.Options {
	in := c.in
	outcomes := make([]string, len(canary.Outcomes()))
	for i, outcome := range canary.Outcomes() {
		outcomes[i] = string(outcome)
	}
	counts := in.Telemetry.Canary(outcomes, func() bool { report := c.tried.Report(); return report.Error != "" || report.Source != "" })
	options := canary.Options{
		AnchoredIdentities: in.Wiring.Flags.IdentityRegexp == "anchored", Namespaces: in.Wiring.Namespaces, Fetch: in.Fetch, Log: config.Logger, Source: c.wrong,
		Hooks: canary.Hooks{
			Decided: func(o canary.Outcome) { counts.Decided(string(o)) },
			Dropped: counts.Dropped, Worked: counts.Worked, Fetched: counts.Fetched,
		},
	}
	f.Try.Set(&options)
	return options
}

// tries has a content tried from now on.
func (c *Candidate) tries(content bundle.Content, policies recording.Policies) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.content = &content
	next := canary.Candidate{Name: c.name, Policies: policies}
	for _, of := range content.Bundles {
		if of.Name == c.name {
			next.Revision, next.Content = of.Revision, of.About.Set
			if c.trust != nil && c.trust.Fetches(c.name) {
				next.Digest = of.Tag // what is tried: another may have been fetched since, and refused
			}
		}
	}
	c.tried.Candidate(&next)
}

// wrong is why what there is of the candidate is not tried, "" where it is: what its bundles are from
// does not answer or has what is refused, or the policies beside it cannot be read.
func (c *Candidate) wrong() string {
	statuses := c.manager.Statuses()
	if c.trust != nil {
		c.trust.Tell(statuses)
	}
	var causes []string
	c.mu.Lock()
	if c.failure != nil {
		causes = append(causes, c.failure.Error())
	}
	c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(statuses)) {
		if cause := statuses[name].Error; cause != "" {
			causes = append(causes, fmt.Sprintf("bundle %s: %s", name, cause))
		}
	}
	return strings.Join(causes, "; ")
}

func (c *Candidate) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
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
	if c.failed(err); err != nil {
		c.log.Error("candidate", "error", err)
		return
	}
	c.tries(*content, policies)
}

// report answers what became of the candidate so far.
func (c *Candidate) report(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal(c.tried.Report())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // who does not read it has nobody to tell
}

// run tries until ctx ends.
func (c *Candidate) run(ctx context.Context) error {
	if err := c.manager.Start(ctx); err != nil {
		c.failed(err)
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
	c.tried.Run(ctx)
	work.Wait()
	c.manager.Stop(context.WithoutCancel(ctx))
	return nil
}
