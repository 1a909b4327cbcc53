// Package webhook is assay serve: the webhook with its policies, which it keeps equal to
// where they come from.
package webhook

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/server/admission"
	"github.com/assay-dev/assay/telemetry"
)

// Command is assay serve of a program of that version.
func Command(version string) *cobra.Command {
	var flags wiring.Flags
	var in clusterFlags
	var from bundled.Flags
	var config server.Config
	export := telemetry.Export{Version: version}
	cmd := &cobra.Command{
		Use:   "serve {--policy DIR | --cluster} --tls-cert FILE --tls-key FILE",
		Short: "Answer Kubernetes admission reviews",
		Long: "Serve answers POST /validate and POST /mutate over TLS. Policies and certificates are read again when\n" +
			"they change; a policy set that does not compile leaves the last good one in place.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), flags, in, from, config, export, cmd.ErrOrStderr())
		},
	}
	// Whoever may create a Pod chooses which hosts the webhook dials.
	flags.Add(cmd, false)
	flags.Record.Add(cmd, true)
	in.add(cmd)
	from.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.Mutate, "mutate", "pods", "whose tags /mutate pins to digests: pods, all or none; templates that it leaves alone are judged by the digests of their tags")
	f.DurationVar(&flags.TUF.Every, "trust-refresh", refreshTrust, "how often trust roots are refreshed from their TUF repositories; at least 1s")
	f.StringVar(&config.Addr, "addr", ":8443", "`host:port` to listen on")
	f.StringVar(&config.TLS.CertFile, "tls-cert", "", "certificate `file` (PEM), read again when it changes")
	f.StringVar(&config.TLS.KeyFile, "tls-key", "", "private key `file` (PEM)")
	f.StringVar(&config.TLS.ClientCAFile, "client-ca", "", "CA `file` of the clients that may ask for reviews; without it everybody may")
	f.BoolVar(&config.InsecurePlainHTTP, "insecure-plain-http", false, "serve without TLS")
	f.DurationVar(&config.Timeout, "timeout", wiring.Timeout, "deadline of a decision; the API server may ask for less")
	f.IntVar(&config.MaxInFlight, "max-in-flight", 256, "reviews that are decided at once; more wait, and then are denied")
	f.DurationVar(&config.DrainDelay, "drain-delay", 5*time.Second, "how long /readyz fails before the listener closes")
	f.DurationVar(&config.DrainTimeout, "drain-timeout", 30*time.Second, "how long requests under way may take after that")
	f.StringVar(&export.Endpoint, "otlp-endpoint", "", "`URL` of a collector of traces that takes OTLP over HTTP (default OTEL_EXPORTER_OTLP_ENDPOINT; without either there are none)")
	return cmd
}

func serve(ctx context.Context, flags wiring.Flags, in clusterFlags, from bundled.Flags, config server.Config, export telemetry.Export, stderr io.Writer) error {
	if config.Timeout > server.LongestTimeout {
		return fmt.Errorf("--timeout: got %s, want at most %s: no API server waits longer", config.Timeout, server.LongestTimeout)
	}
	keepWithin(ownMemory, os.Getenv)
	config.Logger = slog.New(slog.NewJSONHandler(stderr, nil))
	running, err := listen(ctx, flags, in, from, config, export)
	if err != nil {
		return err
	}
	if running.cluster == nil {
		set := running.reloader.engine.Set()
		config.Logger.Info("policies loaded", "policies", policiesOf(set), "hash", set.Hash())
	}
	return running.Run(ctx)
}

// Webhook is the webhook with its socket open.
type Webhook struct {
	server    *server.Server
	reloader  *reloader
	watch     *server.Watch
	recorder  *recording.Recorder // nil when nothing is recorded
	cluster   *cluster            // nil where all policies are in files
	endTraces func()
}

// Listen reads policies and certificates and opens the socket.
func Listen(ctx context.Context, flags wiring.Flags, config server.Config, version string) (*Webhook, error) {
	nobody := func(string) string { return "" } // the environment is that of serve
	return listen(ctx, flags, clusterFlags{}, bundled.Flags{}, config, telemetry.Export{Version: version, Getenv: nobody})
}

func listen(ctx context.Context, flags wiring.Flags, in clusterFlags, from bundled.Flags, config server.Config, export telemetry.Export) (*Webhook, error) {
	config.Metrics = server.NewMetrics(export.Version)
	tags, err := flags.Tags()
	if err != nil {
		return nil, err
	}
	if err := checkRefresh(flags.TUF.Every); err != nil {
		return nil, err
	}
	if err := from.Check(); err != nil {
		return nil, err
	}
	flags.Cluster, flags.Bundles = in.wanted(), from.Wanted()
	w, err := wiring.New(flags, tags, config.Timeout)
	if err != nil {
		return nil, err
	}
	w.Noted = from.Tries()
	// Pods name the hosts: no credential helper is asked about just any of them.
	w.AskWith(oci.WebhookCredentials())
	config.Metrics.WatchCUE(w.CUE.Abandoned)
	r := newReloader(w, config.Metrics, config.Logger)
	if in.wanted() {
		if r.cluster, err = in.open(export.Version, config.Logger); err != nil {
			return nil, err
		}
		w.Tenants, w.Namespaces = r.cluster.tenants, r.cluster.namespaces
		if r.cluster.keeper != nil {
			config.TLS.Source = r.cluster.keeper
		}
	}
	export.Log = config.Logger
	endTraces, err := r.observed(ctx, &config, export)
	if err != nil {
		return nil, err
	}
	// Watched before they are read: no change falls in between.
	watch := server.NewWatch(config.Logger, directories(append(append([]string{}, flags.Policies...), flags.TrustRoots...)))
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	if flags.Bundles {
		if r.bundles, err = from.Open(ctx, r.installation(export.Version), &config); err != nil {
			return nil, err
		}
	}
	out := &Webhook{reloader: r, watch: watch, cluster: r.cluster, endTraces: endTraces}
	if flags.Record.Dir != "" {
		out.recorder = recording.NewRecorder(flags.Record, w.Sealer(export.Version), config.Logger, func(result recording.Result) {
			config.Metrics.Recorded(string(result))
		})
	}
	r.told(out.recorder)
	r.answers(&config)
	if out.server, err = server.New(config); err != nil { //nolint:contextcheck // requests have theirs
		return nil, err
	}
	return out, out.server.Listen()
}

// told has those told of decisions who want to be.
func (r *reloader) told(recorder *recording.Recorder) {
	if r.bundles != nil {
		r.engine.Watch(func(ctx context.Context, made rego.Made) {
			r.telemetry.Decided(ctx, made)
			r.bundles.Log(ctx, made)
		})
	}
	var take []func(rego.Made)
	if recorder != nil {
		take = append(take, recorder.Take)
	}
	if r.bundles != nil && r.bundles.Tries() {
		take = append(take, r.bundles.Take)
	}
	if len(take) > 0 {
		r.engine.Record(func(made rego.Made) {
			for _, tell := range take {
				tell(made)
			}
		})
	}
}

// answers sets who answers which route.
func (r *reloader) answers(config *server.Config) {
	config.Ready = r.checks
	if r.cluster == nil {
		config.Validate, config.Mutate = decider(r.gated(r.engine.Decide, false)), decider(r.gated(r.engine.Mutate, true))
		return
	}
	config.Validate = decider(r.cluster.told(r.gated(r.engine.Decide, false)))
	config.Mutate = decider(r.gated(r.engine.Mutate, true))
	config.PolicyValidate, config.PolicyDefault = r.validatePolicies(), r.defaultPolicies()
}

// Addr is where it listens.
func (w *Webhook) Addr() string { return w.server.Addr().String() }

// Policies counts the ClusterImagePolicies that serve.
func (w *Webhook) Policies() int { return len(w.reloader.engine.Set().Policies()) }

// stopTime bounds how long the end waits for what decisions left to do: queues have 5 seconds, and
// OPA's plugins 12 after that. The chart's terminationGracePeriodSeconds has room for it.
const stopTime = 20 * time.Second

// Run serves until ctx ends and everything under way is done. What goes with decisions goes on as long
// as any is made, which is for a while after ctx ends: logs, records and events have those as well. The
// lease alone is given back at once.
func (w *Webhook) Run(ctx context.Context) error {
	var background sync.WaitGroup
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	background.Go(func() { w.watch.Run(serving, func() { w.reloader.reload(serving) }) })
	background.Go(func() { w.reloader.keepTrust(serving) })
	background.Go(func() { w.reloader.keepLoading(serving) })
	if w.recorder != nil {
		background.Go(func() { w.recorder.Run(serving) })
	}
	if w.cluster != nil {
		background.Go(func() { w.cluster.run(serving, func() { w.reloader.changed(serving) }) })
		background.Go(func() { w.cluster.lease.Run(ctx, w.cluster.lead) })
	}
	if w.reloader.bundles != nil {
		background.Go(func() { w.reloader.bundles.Run(serving) })
	}
	err := w.server.Run(ctx)
	stop()
	w.end(&background)
	w.endTraces()
	return err
}

// end waits for what ends, in bounded time.
func (w *Webhook) end(background *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() { defer close(ended); background.Wait() }()
	over := time.NewTimer(stopTime)
	defer over.Stop()
	select {
	case <-ended:
	case <-over.C:
		w.reloader.log.Error("not all ended in time, and is left behind", "bound", stopTime)
	}
}

// decider lets the server ask the engine.
func decider(decide decide) server.Decider {
	return server.DeciderFunc(func(ctx context.Context, review []byte) (server.Decision, error) {
		decision, err := decide(ctx, review)
		if err != nil {
			return server.Decision{}, err
		}
		verdict := admission.Verdict{Allowed: decision.Allowed, Reasons: decision.Reasons, Warnings: decision.Warnings}
		for _, operation := range decision.Patch {
			verdict.Patch = append(verdict.Patch, admission.PatchOperation{Op: operation.Op, Path: operation.Path, Value: operation.Value})
		}
		return server.Decision{Verdict: verdict, Images: len(decision.Images)}, nil
	})
}

// checks say whether reviews can be decided: there are policies, and a root
// where they need one.
func (r *reloader) checks() []server.Check {
	checks := []server.Check{r.policyCheck(), r.rootCheck()}
	if r.bundles != nil {
		checks = append(checks, r.bundles.Check())
	}
	if r.cluster != nil {
		checks = append(checks, r.cluster.check(r.loaded.Load()))
	}
	return checks
}

// policyCheck says whether the latest change serves.
func (r *reloader) policyCheck() server.Check {
	out := server.Check{Name: "policies"}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		out.Note = fmt.Sprintf("the last change was refused: %v", r.failure)
	}
	return out
}
