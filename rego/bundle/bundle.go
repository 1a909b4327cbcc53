// Package bundle has OPA's plugin manager inside the program: bundles, discovery, decision
// logs and status of an OPA configuration file, as OPA has them.
//
// What OPA's bundle plugin activates it writes to a store, and here the store has a gate:
// before a transaction is committed, whoever serves is shown what the store would hold then,
// and may refuse it. A refusal ends the transaction. The last good set serves on, nothing is
// persisted, and OPA's own status has the cause. OPA's plugin manager itself would publish a
// set that does not compile.
//
// The package opens no connections but those of OPA's plugins, and sees to it that what they
// download is bounded: see [Register].
package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/hooks"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/plugins"
	opabundle "github.com/open-policy-agent/opa/v1/plugins/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/runtime/info"
	"github.com/open-policy-agent/opa/v1/tracing"
	"github.com/open-policy-agent/opa/v1/util"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/opalog"
	"github.com/assay-dev/assay/rego/bundle/redact"
)

// Options say what a manager is to do.
type Options struct {
	// Config is the OPA configuration, in YAML or JSON: see [configured.Read].
	Config []byte
	// ID names this replica in logs and status; "" is a new one.
	ID string
	// Version is that of the program, a label as OPA's own is.
	Version string
	Log     *slog.Logger
	// Limits bound what a service sends; the zero value is [archive.Defaults].
	Limits archive.Limits
	// Registerer takes the metrics of OPA's plugins. Nil is none.
	Registerer prometheus.Registerer
	// Factories make plugins besides OPA's own, by name.
	Factories map[string]plugins.Factory
	// Prepare is the gate: it is shown what the bundles would hold together, and makes it
	// ready to serve. publish is called once the bundles are in the store. An error refuses
	// them. It is called by one goroutine at a time. Required.
	Prepare func(ctx context.Context, next Content) (publish func(), err error)
	// Library are modules that Rego of bundles may call, by path; none of them is in a bundle.
	Library map[string]string
	// Removed is shown what is left when bundles were taken out of the configuration, which
	// nothing refuses. Required.
	Removed func(ctx context.Context, left Content)
	// Sources sees the sources of all bundles in the configuration, also in one that
	// discovery brought, and may refuse them. What it returns by name is what a bundle comes
	// from in place of its source, and apply is called once OPA has taken the configuration,
	// which it may refuse. Nil leaves all as they are.
	Sources func([]configured.Source) (feeds map[string]Feed, apply func(), err error)
	// Discovered sees each discovery bundle before OPA evaluates it, and may refuse it. Applied
	// is told when its configuration is in force. Nil is nobody.
	Discovered func(archive.Discovery) error
	Applied    func(archive.Discovery)
	// Persists is asked before OPA persists anything, and may refuse the configuration. Nil does not.
	Persists func() error
	// About is what OPA's status carries of the program besides, see [decisions.Carry]. Nil is
	// nothing.
	About func() any
}

// Manager is OPA's plugin manager with a gate.
type Manager struct {
	options Options
	opa     *plugins.Manager
	gate    *gate
	bounds  *bounds
	log     opalog.Logger
	counts  metrics.Metrics // of OPA's plugins
	// begun says that there is no discovery bundle to wait for. Reviews ask, and OPA's own answer would
	// have to wait for a status that is being sent.
	begun atomic.Bool

	watching sync.Mutex
	watched  *opabundle.Plugin // whose statuses are heard

	mu       sync.Mutex
	statuses map[string]Status
	// discovery is the status of the discovery bundle, nil where there is none.
	discovery *Status
}

// Status is what became of one bundle.
type Status struct {
	// Revision is the active one, "" as long as none is.
	Revision string
	// Activated is when it became active, Requested when its source was last asked and
	// Confirmed when the source last had an answer: that there is nothing new, or what is.
	Activated, Requested, Confirmed time.Time
	// Error is why the latest answer is not active, "" where it is.
	Error string
}

// Open makes a manager, which does nothing before [Manager.Start].
func Open(options Options) (*Manager, error) {
	if options.Prepare == nil || options.Removed == nil {
		return nil, errors.New("a bundle manager needs a gate: Prepare or Removed is nil")
	}
	if options.Limits == (archive.Limits{}) {
		options.Limits = archive.Defaults()
	}
	if options.ID == "" {
		options.ID = uuid.NewString() // which is what OPA has
	}
	directory, err := configured.PersistenceDirectory(options.Config)
	if err != nil {
		return nil, fmt.Errorf("configuration of bundles: %w", err)
	}
	m := &Manager{options: options, statuses: map[string]Status{}, counts: metrics.New(), bounds: newBounds(options.Limits, directory)}
	m.bounds.watch = m.watch
	m.bounds.admits, m.bounds.applied = options.Discovered, options.Applied
	m.gate = newGate(m.keeping, options.Removed, options.Library)
	var boot map[string]any // what discovery does not override
	if err := util.Unmarshal(options.Config, &boot); err != nil {
		return nil, fmt.Errorf("configuration of bundles: %w", err)
	}
	hook := hooks.New(&sourcesHook{see: options.Sources, persist: options.Persists, bounds: m.bounds, boot: configured.TakeOverrides(boot)})
	runtime, err := info.NewWithOptions(info.Options{Config: options.Config}) // what opa.runtime says to discovery
	if err != nil {
		return nil, fmt.Errorf("configuration of bundles: %w", err)
	}
	m.log = opalog.New(options.Log)
	logger := decisions.Listen(m.log)
	m.opa, err = plugins.New(options.Config, options.ID, m.gate,
		plugins.Info(runtime), plugins.Logger(logger), plugins.ConsoleLogger(logger), plugins.WithHooks(hook),
		plugins.WithPrometheusRegister(options.Registerer), plugins.GracefulShutdownPeriod(gracePeriod),
		plugins.WithDistributedTracingOpts(tracing.NewOptions(m.bounds)))
	if err != nil {
		return nil, fmt.Errorf("configuration of bundles: %w", err)
	}
	m.bounds.services.opa = m.opa
	m.bounds.commit() // a program that did not take it does not begin
	found, err := discovery.New(m.opa, discovery.Factories(options.Factories), discovery.Hooks(hook), discovery.BootConfig(boot), discovery.Metrics(decisions.Carry(m.counts, "assay", options.About)))
	if err != nil {
		return nil, fmt.Errorf("configuration of bundles: %w", err)
	}
	m.opa.Register(discovery.Name, found)
	found.RegisterListener("assay", m.discovered)
	m.begun.Store(len(m.opa.GetConfig().Discovery) == 0)
	return m, nil
}

// gracePeriod is how many seconds decision logs have at the end to be sent.
const gracePeriod = 10

// Start starts OPA's plugins. Bundles that were persisted are active when it returns, if
// they are still good. The end of ctx ends activations that are under way, and what is left is
// for [Manager.Stop] to stop.
func (m *Manager) Start(ctx context.Context) error {
	context.AfterFunc(ctx, m.gate.ending.end)
	ctx = context.WithoutCancel(ctx)
	m.watch()
	// What tells of states must not wait: the plugin that it would wait for tells some itself.
	var once sync.Once
	discovers := len(m.opa.GetConfig().Discovery) > 0
	m.opa.RegisterPluginStatusListener("assay", func(states map[string]*plugins.Status) {
		// The first configuration that was discovered may be from the disk, of which nothing else tells.
		of := states[discovery.Name]
		begun := of != nil && of.State == plugins.StateOK
		if begun {
			once.Do(func() { m.bounds.said(false) })
		}
		m.begun.Store(begun || !discovers)
		go m.watch()
	})
	if err := m.opa.Start(ctx); err != nil {
		return fmt.Errorf("bundles: %w", err)
	}
	m.bounds.loaded(m.gate.refusal())
	m.watch()
	return nil
}

// Stop stops OPA's plugins, and lets decision logs be sent. It ends activations that are under way,
// and waits for nothing that does not end.
func (m *Manager) Stop(ctx context.Context) {
	if !m.gate.ending.wait(func() { m.opa.Stop(ctx) }) && m.options.Log != nil {
		m.options.Log.Error("plugins of OPA did not end in time, and are left behind")
	}
}

// OPA is the manager itself, for plugins and handlers of OPA.
func (m *Manager) OPA() *plugins.Manager { return m.opa }

// Lost is what OPA's plugins count of a loss.
func (m *Manager) Lost(of decisions.Loss) uint64 { return of.Count(m.counts) }

// Trigger has all bundles looked for now.
func (m *Manager) Trigger(ctx context.Context) error {
	if plugin := opabundle.Lookup(m.opa); plugin != nil {
		return plugin.Trigger(ctx)
	}
	return nil
}

// watch hears of statuses. OPA makes the plugin when it wants to: discovery may be first.
func (m *Manager) watch() {
	m.watching.Lock()
	defer m.watching.Unlock()
	if plugin := opabundle.Lookup(m.opa); plugin != nil && plugin != m.watched {
		plugin.RegisterBulkListener("assay", m.heard) // which waits for an activation under way
		m.watched = plugin
	}
}

// discovered hears of the discovery bundle: its name is that among sources.
func (m *Manager) discovered(of opabundle.Status) {
	status := statusOf(&of)
	m.bounds.said(status.Error != "")
	if status.Error == "" {
		m.log.Works(configured.DiscoveryName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.discovery = &status
}

func (m *Manager) heard(all map[string]*opabundle.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.statuses = map[string]Status{}
	for name, status := range all {
		now := statusOf(status)
		if m.statuses[name] = now; now.Error == "" && !now.Activated.IsZero() {
			m.log.Works(name)
		}
	}
}

func statusOf(of *opabundle.Status) Status {
	out := Status{
		Revision: of.ActiveRevision, Activated: of.LastSuccessfulActivation,
		Requested: of.LastRequest, Confirmed: of.LastSuccessfulRequest,
	}
	if of.Code == "" { // a message may be a remark about what is active
		return out
	}
	texts := []string{cmp.Or(of.Message, of.Code)}
	for _, err := range of.Errors {
		texts = append(texts, err.Error())
	}
	out.Error = redact.Text(strings.Join(texts, "; "))
	return out
}

// Statuses are those of the bundles in the configuration, by name, as OPA knows them.
func (m *Manager) Statuses() map[string]Status {
	names := m.bounds.names()
	m.mu.Lock()
	defer m.mu.Unlock()
	out := maps.Clone(m.statuses)
	for _, name := range names {
		if _, known := out[name]; !known {
			out[name] = Status{}
		}
	}
	if m.discovery != nil {
		out[configured.DiscoveryName] = *m.discovery
	}
	return out
}

// Waiting says for what decisions have to wait, "" where all bundles of the configuration are
// among those that decide: a program that has no good bundle yet denies. That a bundle is in the
// store does not say that it decides: it is published after that. It waits for nobody.
func (m *Manager) Waiting(deciding []string) string {
	if !m.begun.Load() {
		return "the discovery bundle is not active yet"
	}
	for _, name := range m.bounds.names() {
		if !slices.Contains(deciding, name) {
			return fmt.Sprintf("bundle %s is not active yet", name)
		}
	}
	return ""
}
