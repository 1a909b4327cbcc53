package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/server/admission"
)

// refreshTrust is how often a trust root is refreshed. Sigstore's
// timestamp metadata is renewed every few days.
const refreshTrust = time.Hour

// retryTrust is how soon it is tried again when that failed.
const retryTrust = 10 * time.Second

func serveCommand() *cobra.Command {
	var flags engineFlags
	var config server.Config
	cmd := &cobra.Command{
		Use:   "serve --policy DIR --tls-cert FILE --tls-key FILE",
		Short: "Answer Kubernetes admission reviews",
		Long: "Serve answers POST /validate and POST /mutate over TLS. Policies and certificates are read again when\n" +
			"they change; a policy set that does not compile leaves the last good one in place.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), flags, config, cmd.ErrOrStderr())
		},
	}
	// Whoever may create a Pod chooses which hosts the webhook dials.
	flags.add(cmd, false)
	flags.record.Add(cmd, true)
	f := cmd.Flags()
	f.StringVar(&config.Addr, "addr", ":8443", "`host:port` to listen on")
	f.StringVar(&config.TLS.CertFile, "tls-cert", "", "certificate `file` (PEM), read again when it changes")
	f.StringVar(&config.TLS.KeyFile, "tls-key", "", "private key `file` (PEM)")
	f.StringVar(&config.TLS.ClientCAFile, "client-ca", "", "CA `file` of the clients that may ask for reviews; without it everybody may")
	f.BoolVar(&config.InsecurePlainHTTP, "insecure-plain-http", false, "serve without TLS")
	f.DurationVar(&config.Timeout, "timeout", decisionTimeout, "deadline of a decision; the API server may ask for less")
	f.IntVar(&config.MaxInFlight, "max-in-flight", 256, "reviews that are decided at once; more are turned away")
	f.DurationVar(&config.DrainDelay, "drain-delay", 5*time.Second, "how long /readyz fails before the listener closes")
	f.DurationVar(&config.DrainTimeout, "drain-timeout", 30*time.Second, "how long requests under way may take after that")
	return cmd
}

func serve(ctx context.Context, flags engineFlags, config server.Config, stderr io.Writer) error {
	config.Logger = slog.New(slog.NewJSONHandler(stderr, nil))
	running, err := listen(ctx, flags, config)
	if err != nil {
		return err
	}
	set := running.reloader.engine.Set()
	config.Logger.Info("policies loaded", "policies", policiesOf(set), "hash", set.Hash())
	return running.run(ctx)
}

// webhookServer is the webhook with its socket open.
type webhookServer struct {
	server   *server.Server
	reloader *reloader
	watch    *server.Watch
	recorder *recording.Recorder // nil when nothing is recorded
}

// listen reads policies and certificates and opens the socket.
func listen(ctx context.Context, flags engineFlags, config server.Config) (*webhookServer, error) {
	config.Metrics = server.NewMetrics(version())
	w, err := wire(flags, "deny", config.Timeout)
	if err != nil {
		return nil, err
	}
	// Pods name the hosts: no credential helper is asked about just any of them.
	w.credentials = oci.WebhookCredentials()
	config.Metrics.WatchCUE(w.cue.Abandoned)
	r := &reloader{wiring: w, log: config.Logger, metrics: config.Metrics, wake: make(chan struct{}, 1)}
	// Watched before they are read: no change falls in between.
	watch := server.NewWatch(config.Logger, directories(append(append([]string{}, flags.policies...), flags.trustRoots...)))
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	out := &webhookServer{reloader: r, watch: watch}
	if flags.record.Dir != "" {
		out.recorder = recording.NewRecorder(flags.record, w.sealer(), config.Logger, func(result recording.Result) {
			config.Metrics.Recorded(string(result))
		})
		r.engine.Record(out.recorder.Take)
	}
	config.Validate, config.Mutate, config.Ready = decider(r.engine.Decide), decider(r.engine.Mutate), r.checks
	if out.server, err = server.New(config); err != nil {
		return nil, err
	}
	return out, out.server.Listen()
}

// run serves until ctx ends and everything under way is done.
func (w *webhookServer) run(ctx context.Context) error {
	var background sync.WaitGroup
	watching, stop := context.WithCancel(ctx)
	background.Go(func() { w.watch.Run(watching, func() { w.reloader.reload(watching) }) })
	background.Go(func() { w.reloader.keepTrust(watching) })
	if w.recorder != nil {
		background.Go(func() { w.recorder.Run(watching) })
	}
	err := w.server.Run(ctx)
	stop()
	background.Wait()
	return err
}

// decider lets the server ask the engine.
func decider(decide func(context.Context, []byte) (rego.Decision, error)) server.Decider {
	return server.DeciderFunc(func(ctx context.Context, review []byte) (server.Decision, error) {
		decision, err := decide(ctx, review)
		if err != nil {
			return server.Decision{}, err
		}
		verdict := admission.Verdict{Allowed: decision.Allowed, Reasons: decision.Reasons, Warnings: decision.Warnings}
		for _, operation := range decision.Patch {
			verdict.Patch = append(verdict.Patch, admission.PatchOperation(operation))
		}
		return server.Decision{Verdict: verdict, Images: len(decision.Images)}, nil
	})
}

// keepTrust gets the roots that policies rely on and keeps them fresh, away from any
// request.
func (r *reloader) keepTrust(ctx context.Context) {
	due := map[rootSource]time.Time{}
	for ctx.Err() == nil {
		next := r.refreshDue(ctx, due)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-time.After(time.Until(next)):
		}
	}
}

// refreshDue refreshes what is due and says when something is again.
func (r *reloader) refreshDue(ctx context.Context, due map[rootSource]time.Time) (next time.Time) {
	r.mu.Lock()
	wanted := maps.Clone(r.roots)
	r.mu.Unlock()
	now := map[string]rootSource{}
	for name, source := range wanted {
		if time.Now().After(due[source]) {
			now[name] = source
		}
	}
	failed := refreshAll(ctx, now)
	for name, source := range now {
		err := failed[name]
		if due[source] = time.Now().Add(refreshTrust); err != nil {
			due[source] = time.Now().Add(retryTrust)
			r.log.Error("trust root not refreshed", "error", err, "trustRoot", cmp.Or(name, "(default)"))
		}
		if name == "" {
			r.metrics.TrustRefreshed(time.Now(), err)
		}
	}
	next = time.Now().Add(refreshTrust)
	for source, at := range due {
		if !slices.Contains(slices.Collect(maps.Values(wanted)), source) {
			delete(due, source) // no policy relies on it any more
		} else if at.Before(next) {
			next = at
		}
	}
	return next
}

// checks say whether reviews can be decided: there are policies, and a root
// where they need one.
func (r *reloader) checks() []server.Check {
	r.mu.Lock()
	defer r.mu.Unlock()
	policies := server.Check{Name: "policies"}
	if r.failure != nil {
		policies.Note = fmt.Sprintf("the last change was refused: %v", r.failure)
	}
	trust := server.Check{Name: "trust"}
	switch root, cause := r.wiring.root.serving(); {
	case root != nil:
		r.rooted = true
	case r.needsRoot && r.rooted:
		// All replicas lose it together: serving denies what needs it, not serving
		// would deny, or under failurePolicy Ignore admit, everything.
		trust.Note = cause
	case r.needsRoot:
		trust.Err = errors.New(cause)
	}
	// A TrustRoot that is not there denies what refers to it and stops nothing else.
	for _, name := range slices.Sorted(maps.Keys(r.roots)) {
		if root, cause := r.roots[name].serving(); root == nil && name != "" {
			trust.Note = strings.TrimPrefix(trust.Note+fmt.Sprintf("; TrustRoot %s: %s", name, cause), "; ")
		}
	}
	return []server.Check{policies, trust}
}
