package bundled

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/cmd/assay/trusted"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/dataapi"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/rego/bundle/lock"
	"github.com/assay-dev/assay/rego/lib"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// Flags say where OPA's configuration is, if there is one.
type Flags struct {
	Config  string
	Trust   []string          // files of who may sign
	Minimum map[string]string // revisions by bundle
	Tests   bool
	DataAPI bool
	canaryFlags
	Token string
}

// Add adds them to a command.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Config, "config-file", "", "OPA configuration `file`: bundles with policies, discovery, decision logs, status")
	flags.StringArrayVar(&f.Trust, "bundle-trust", nil, "`path` of a file or directory with ClusterImagePolicies and TrustRoots: those say who signs the bundles of registries, and all others have to be signed with keys of --config-file (repeatable)")
	flags.BoolVar(&f.Tests, "bundle-tests", false, "have the tests that bundles bring along pass before they are active")
	flags.BoolVar(&f.DataAPI, "data-api", false, "answer POST /v1/data and /v0/data as OPA does, about plain Rego and data of bundles, for whoever has the token or a certificate of --client-ca")
	flags.StringVar(&f.Token, "api-token-file", "", "`file` with the token that clients of --data-api and of GET /canary send, read again in every request")
	f.add(cmd)
	flags.StringToStringVar(&f.Minimum, "bundle-minimum-revision", nil, "`bundle=revision` below which a bundle is refused, though it is signed (repeatable)")
}

// Wanted says whether there are bundles.
func (f *Flags) Wanted() bool { return f.Config != "" }

// Tries says whether a candidate is tried, for which decisions note what they saw.
func (f *Flags) Tries() bool { return len(f.Canary) > 0 }

// Installation is what bundles are beside.
type Installation struct {
	Version   string
	Wiring    *wiring.Wiring
	Telemetry *telemetry.Telemetry
	// Prepare and Removed are the gate, see bundle.Options.
	Prepare func(context.Context, bundle.Content) (publish func(), err error)
	Removed func(context.Context, bundle.Content)
	// Fetch is how a candidate asks for what decisions did not see.
	Fetch *recording.Fetch
	// Tried are the policies that would serve with other bundles.
	Tried func(context.Context, bundle.Content) (recording.Policies, error)
}

// Check refuses flags without what they are about.
func (f *Flags) Check() error {
	switch {
	case f.Config == "" && (len(f.Trust) > 0 || len(f.Minimum) > 0 || f.Tests || f.DataAPI || f.Token != "" || len(f.Canary) > 0):
		return errors.New("--config-file: got none, want the OPA configuration of what --bundle-trust, --bundle-minimum-revision, --bundle-tests, --canary, --data-api and --api-token-file are about")
	case f.Token != "" && !f.DataAPI && len(f.Canary) == 0:
		return errors.New("--api-token-file: got it without --data-api and --canary, whose clients send it")
	}
	return f.check()
}

// Open makes the manager. Nothing is fetched before it is started.
func (f *Flags) Open(ctx context.Context, in Installation, config *server.Config) (*Bundles, error) {
	text, err := configured.Read(f.Config, os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("--config-file: %w", err)
	}
	for _, key := range configured.Ignored(text) {
		config.Logger.Warn("configuration of OPA's server has no effect here", "key", key)
	}
	out := &Bundles{flags: *f, log: config.Logger, started: make(chan struct{}), kept: make(chan struct{}, 1)}
	if err := out.hold(text); err != nil {
		return nil, err
	}
	if out.library, err = lib.Modules(); err != nil {
		return nil, err
	}
	options := bundle.Options{
		Config: text, Version: in.Version, Log: config.Logger, Registerer: config.Metrics.Registerer(),
		Prepare: in.Prepare, Removed: in.Removed, Persists: out.alone,
		Library: out.library, Discovered: out.discovered, Applied: out.applied,
	}
	observe := out.logged(ctx, in, &options)
	if len(f.Trust) > 0 {
		if out.trust, err = out.bootstrap(ctx, in.Wiring.Flags, config.Logger); err != nil {
			return nil, fmt.Errorf("--bundle-trust: %w", err)
		}
		options.Sources = out.trust.See
	}
	if out.manager, err = bundle.Open(options); err != nil {
		return nil, fmt.Errorf("--config-file: %w", err)
	}
	out.off = in.Wiring.Flags.Rego.Off()
	if of := out.manager.OPA().GetConfig(); f.DataAPI || evaluated(of.DecisionLogs, of.Discovery) {
		out.off = raw.Off() // what an installation allows is within bounds that OPA does not keep
	}
	if out.logs, err = out.logger(observe, config.Logger); err != nil { //nolint:contextcheck // entries have the time of their own
		return nil, err
	}
	if err := out.mount(ctx, config); err != nil {
		return nil, err
	}
	in.Telemetry.WatchBundles(out.states, out.counts)
	if len(f.Canary) > 0 {
		if out.candidate, err = out.openCandidate(in, config, text); err != nil { //nolint:contextcheck // it runs in that of Run
			return nil, fmt.Errorf("--canary: %w", err)
		}
	}
	return out, nil
}

// hold opens what outlives the process.
func (b *Bundles) hold(text []byte) error {
	persistence, err := configured.PersistenceDirectory(text)
	if err != nil {
		return fmt.Errorf("--config-file: %w", err)
	}
	b.own = filepath.Join(persistence, "assay")
	if len(b.flags.Trust) > 0 || len(b.flags.Minimum) > 0 || b.flags.Tests {
		if err := b.alone(); err != nil {
			return err
		}
		if err := leftovers(b.own); err != nil {
			b.log.Warn("what tests of bundles left is not removed", "error", err)
		}
	}
	b.floors, err = fresh.Open(filepath.Join(b.own, "revisions.json"))
	return err
}

// alone has the directory be this process's, before anything is kept there. A configuration that
// keeps nothing needs none.
func (b *Bundles) alone() error {
	b.locking.Lock()
	defer b.locking.Unlock()
	if b.lock != nil {
		return nil
	}
	held, err := lock.Take(b.own)
	if err != nil {
		return fmt.Errorf("persistence_directory of --config-file: got %s: %w, want a directory of this process's own", filepath.Dir(b.own), err)
	}
	b.lock = held
	return nil
}

// evaluated says whether OPA evaluates Rego of bundles by itself, for decision logs that are masked
// or dropped by it. Discovery may come to configure that.
func evaluated(logs, discovery []byte) bool {
	var said struct {
		Mask string `json:"mask_decision"`
		Drop string `json:"drop_decision"`
	}
	err := json.Unmarshal(logs, &said)
	return len(discovery) > 0 || len(logs) > 0 && (err != nil || said.Mask != "" || said.Drop != "")
}

// bootstrap reads who may sign.
func (b *Bundles) bootstrap(ctx context.Context, flags wiring.Flags, log *slog.Logger) (*trusted.Sources, error) {
	policy, err := trusted.NewPolicy(ctx, flags, b.flags.Trust)
	if err != nil {
		return nil, err
	}
	for _, warning := range policy.Warnings() {
		log.Warn("bundle trust", "warning", warning)
	}
	return b.sources(policy, b.own, log), nil
}

// sources are those of a configuration, which a policy vouches for.
func (b *Bundles) sources(policy *trusted.Policy, own string, log *slog.Logger) *trusted.Sources {
	return &trusted.Sources{Policy: policy, Floors: b.floors, Minimum: b.flags.Minimum, Own: own, Log: log}
}

// mount has the server answer what OPA's would.
func (b *Bundles) mount(ctx context.Context, config *server.Config) error {
	handler, err := dataapi.New(context.WithoutCancel(ctx), b.manager.OPA())
	if err != nil {
		return err
	}
	config.Mounted = append(config.Mounted, server.Mounted{Method: http.MethodGet, Path: dataapi.Health, Handler: handler, Open: true})
	if b.flags.Token != "" {
		config.Token = func() (string, error) {
			text, err := sources.Read(b.flags.Token, mostToken)
			return strings.TrimSpace(string(text)), err
		}
	}
	if !b.flags.DataAPI {
		return nil
	}
	for _, path := range dataapi.Paths() {
		config.Mounted = append(config.Mounted, server.Mounted{Method: http.MethodPost, Path: path, Handler: handler})
	}
	return nil
}

// mostToken bounds the file of a token, in bytes.
const mostToken = 64 << 10
