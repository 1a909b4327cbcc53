package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/dataapi"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/once"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// bundleFlags say where OPA's configuration is, if there is one.
type bundleFlags struct {
	config  string
	minimum map[string]string // revisions by bundle
	dataAPI bool
	token   string
}

func (f *bundleFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config-file", "", "OPA configuration `file`: bundles with policies, discovery, decision logs, status")
	flags.BoolVar(&f.dataAPI, "data-api", false, "answer POST /v1/data and /v0/data as OPA does, about plain Rego and data of bundles, for whoever has the token or a certificate of --client-ca")
	flags.StringVar(&f.token, "data-api-token-file", "", "`file` with the token that clients of --data-api send, read again in every request")
	flags.StringToStringVar(&f.minimum, "bundle-minimum-revision", nil, "`bundle=revision` below which a bundle is refused, though it is signed (repeatable)")
}

// bundles is what the webhook has to do with OPA's plugin manager.
type bundles struct {
	flags   bundleFlags
	manager *bundle.Manager
	floors  *fresh.Floors
	own     string // the directory that is kept across restarts
	trusted bool   // whoever signs them is checked, so revisions do not go backwards

	started  chan struct{} // closed once what was persisted was looked at
	complete atomic.Bool   // all bundles of the configuration were active at once

	mu     sync.Mutex
	active []bundle.Bundle
	// refused counts activations that the gate refused, activated those it let pass.
	refused, activated uint64
}

// check refuses flags without what they are about.
func (f *bundleFlags) check() error {
	switch {
	case f.config == "" && (len(f.minimum) > 0 || f.dataAPI || f.token != ""):
		return errors.New("--config-file: got none, want the OPA configuration of what --bundle-minimum-revision, --data-api and --data-api-token-file are about")
	case f.token != "" && !f.dataAPI:
		return errors.New("--data-api-token-file: got it without --data-api")
	}
	return nil
}

// open makes the manager. Nothing is fetched before it is started.
func (f *bundleFlags) open(ctx context.Context, r *reloader, config *server.Config, version string) (*bundles, error) {
	text, err := bundle.ReadConfig(f.config, os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("--config-file: %w", err)
	}
	for _, key := range bundle.Ignored(text) {
		config.Logger.Warn("configuration of OPA's server has no effect here", "key", key)
	}
	out := &bundles{flags: *f, started: make(chan struct{})}
	out.manager, err = bundle.Open(bundle.Options{
		Config: text, Version: version, Log: config.Logger, Registerer: config.Metrics.Registerer(),
		Prepare: r.prepare, Removed: r.removed,
	})
	if err != nil {
		return nil, fmt.Errorf("--config-file: %w", err)
	}
	persistence, err := out.manager.OPA().GetConfig().GetPersistenceDirectory()
	if err != nil {
		return nil, err
	}
	if err := out.mount(ctx, config); err != nil {
		return nil, err
	}
	out.own = filepath.Join(persistence, "assay")
	if out.floors, err = fresh.Open(filepath.Join(out.own, "revisions.json")); err != nil {
		return nil, err
	}
	r.telemetry.WatchBundles(out.states, out.counts)
	return out, nil
}

// mount has the server answer what OPA's would.
func (b *bundles) mount(ctx context.Context, config *server.Config) error {
	handler, err := dataapi.New(context.WithoutCancel(ctx), b.manager.OPA())
	if err != nil {
		return err
	}
	config.Mounted = append(config.Mounted, server.Mounted{Method: http.MethodGet, Path: dataapi.Health, Handler: handler, Open: true})
	if !b.flags.dataAPI {
		return nil
	}
	for _, path := range dataapi.Paths() {
		config.Mounted = append(config.Mounted, server.Mounted{Method: http.MethodPost, Path: path, Handler: handler})
	}
	if b.flags.token != "" {
		config.Token = func() (string, error) {
			text, err := sources.Read(b.flags.token, mostToken)
			return strings.TrimSpace(string(text)), err
		}
	}
	return nil
}

// mostToken bounds the file of a token, in bytes.
const mostToken = 64 << 10

// prepare is the gate of bundles: their policies and all others are compiled together, and
// what is wrong with one of theirs refuses them. What serves until then serves on.
func (r *reloader) prepare(ctx context.Context, next bundle.Content) (publish func(), err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	defer func() { r.bundles.count(err) }()
	if err := r.bundles.fresh(next, time.Now()); err != nil {
		return nil, err
	}
	if r.bundles.flags.dataAPI {
		if err := dataapi.Check(next.Modules, next.V0, apart.Reaching()); err != nil {
			return nil, err
		}
	}
	bundled := bundledOf(next)
	read, objects := r.reading()
	var documents *wiring.Documents
	var set *rego.Set
	r.beside(bundled, func() { documents, set, err = r.compiled(ctx, read) })
	if err != nil {
		return nil, err
	}
	if err := documents.Broken(set, next.Modules); err != nil {
		return nil, err
	}
	if err := warm(ctx, set); err != nil {
		return nil, err
	}
	if err := r.bundles.raise(next); err != nil {
		return nil, err
	}
	at := r.loads
	return func() {
		r.loading.Lock()
		defer r.loading.Unlock()
		r.wiring.Bundled = bundled
		r.bundles.publish(next)
		if r.loads != at { // something else was loaded meanwhile
			r.reloadLocked(ctx)
			return
		}
		r.take(set, documents)
		if objects != nil {
			r.tookObjects(*objects, set, documents)
			r.tell(*objects)
		}
	}, nil
}

// beside reads and compiles with other bundles than those that serve, and waits for what
// takes long: what is in force is no worse meanwhile.
func (r *reloader) beside(bundled *wiring.Bundled, compile func()) {
	before, patience := r.wiring.Bundled, r.wiring.Patience
	defer func() { r.wiring.Bundled, r.wiring.Patience = before, patience }()
	r.wiring.Bundled, r.wiring.Patience = bundled, once.Patience{}
	compile()
}

// removed takes what is left when a configuration has fewer bundles.
func (r *reloader) removed(ctx context.Context, left bundle.Content) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.wiring.Bundled = bundledOf(left)
	r.bundles.publish(left)
	r.reloadLocked(ctx)
}

// warm has a set decide once before it serves. One that cannot decide at all is refused.
func warm(ctx context.Context, set *rego.Set) error {
	const nothing = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"warm","operation":"CREATE",` +
		`"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"default",` +
		`"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"warm","namespace":"default"},"spec":{"containers":[]}}}}`
	if _, err := rego.NewEngine(set, nil).Decide(ctx, []byte(nothing)); err != nil {
		return fmt.Errorf("the policies cannot decide: %w", err)
	}
	return nil
}

func bundledOf(c bundle.Content) *wiring.Bundled {
	out := &wiring.Bundled{Resources: map[string][]byte{}, Modules: c.Modules, V0: c.V0, Data: c.Data}
	for _, resource := range c.Resources {
		out.Resources["bundle "+resource.Bundle+": "+resource.Path] = resource.Document
	}
	return out
}

// fresh refuses bundles that are older than what was active here, or past their time.
func (b *bundles) fresh(next bundle.Content, now time.Time) error {
	var errs []error
	for _, of := range next.Bundles {
		errs = append(errs, ended(of, now))
		if b.ordered(of.Name) {
			errs = append(errs, b.floors.Check(of.Name, of.Revision, b.flags.minimum[of.Name]))
		}
	}
	return errors.Join(errs...)
}

// raise keeps which revisions are taken, before they serve: what cannot be kept would let a
// restart take older ones.
func (b *bundles) raise(next bundle.Content) error {
	for _, of := range next.Bundles {
		if !b.ordered(of.Name) {
			continue
		}
		if err := os.MkdirAll(b.own, 0o700); err != nil {
			return err
		}
		if err := b.floors.Raise(of.Name, of.Revision); err != nil {
			return fmt.Errorf("bundle %s: %w", of.Name, err)
		}
	}
	return nil
}

// ordered says whether revisions of a bundle may not go backwards.
func (b *bundles) ordered(name string) bool {
	_, minimum := b.flags.minimum[name]
	return minimum || b.trusted
}

// ended says that a bundle is past its time, if it is.
func ended(of bundle.Bundle, now time.Time) error {
	if at := of.About.Expires; !at.IsZero() && !now.Before(at) {
		return fmt.Errorf("bundle %s: it expired at %s", of.Name, at.UTC().Format(time.RFC3339))
	}
	return nil
}

func (b *bundles) count(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.refused++
	} else {
		b.activated++
	}
}

// publish notes what is active now.
func (b *bundles) publish(content bundle.Content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active = content.Bundles
}

// denies says why nothing can be admitted, "" where policies decide: not all bundles have
// been active yet, or one that is active is past its time.
func (b *bundles) denies(now time.Time) string {
	if !b.complete.Load() {
		if waiting := b.manager.Waiting(); waiting != "" {
			return waiting + ": try again"
		}
		b.complete.Store(true)
	}
	return b.expired(now)
}

func (b *bundles) expired(now time.Time) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, of := range b.active {
		if err := ended(of, now); err != nil {
			return err.Error()
		}
	}
	return ""
}

// check says whether bundles let reviews be decided.
func (b *bundles) check() server.Check {
	out := server.Check{Name: "bundles"}
	if cause := b.denies(time.Now()); cause != "" {
		out.Err = errors.New(cause)
	}
	var notes []string
	for name, status := range b.manager.Statuses() {
		if status.Error != "" {
			notes = append(notes, fmt.Sprintf("bundle %s: %s", name, status.Error))
		}
	}
	slices.Sort(notes)
	out.Note = strings.Join(notes, "; ")
	if out.Err != nil && out.Note != "" {
		out.Err = fmt.Errorf("%w (%s)", out.Err, out.Note)
	}
	return out
}

// states are those of the bundles, for the metrics.
func (b *bundles) states() (out []telemetry.Bundle) {
	expires := map[string]time.Time{}
	b.mu.Lock()
	for _, of := range b.active {
		expires[of.Name] = of.About.Expires
	}
	b.mu.Unlock()
	for name, status := range b.manager.Statuses() {
		out = append(out, telemetry.Bundle{
			Name: name, Revision: status.Revision, Failing: status.Error != "",
			Activated: status.Activated, Confirmed: status.Confirmed, Expires: expires[name],
		})
	}
	return out
}

func (b *bundles) counts() telemetry.Activations {
	b.mu.Lock()
	defer b.mu.Unlock()
	return telemetry.Activations{Activated: b.activated, Refused: b.refused}
}

// keepBundles runs OPA's plugins until ctx ends, and then lets decision logs be sent. What
// does not start leaves a webhook that denies, and says why.
func (r *reloader) keepBundles(ctx context.Context) {
	if err := r.bundles.manager.Start(context.WithoutCancel(ctx)); err != nil {
		r.log.Error("bundles", "error", err)
	}
	close(r.bundles.started)
	<-ctx.Done()
	r.bundles.manager.Stop(context.WithoutCancel(ctx))
}
