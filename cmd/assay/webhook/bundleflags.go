package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/sources"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/dataapi"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/server"
)

// bundleFlags say where OPA's configuration is, if there is one.
type bundleFlags struct {
	config  string
	trust   []string          // files of who may sign
	minimum map[string]string // revisions by bundle
	dataAPI bool
	token   string
}

func (f *bundleFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config-file", "", "OPA configuration `file`: bundles with policies, discovery, decision logs, status")
	flags.StringArrayVar(&f.trust, "bundle-trust", nil, "`path` of a file or directory with ClusterImagePolicies and TrustRoots: those say who signs the bundles of registries, and all others have to be signed with keys of --config-file (repeatable)")
	flags.BoolVar(&f.dataAPI, "data-api", false, "answer POST /v1/data and /v0/data as OPA does, about plain Rego and data of bundles, for whoever has the token or a certificate of --client-ca")
	flags.StringVar(&f.token, "data-api-token-file", "", "`file` with the token that clients of --data-api send, read again in every request")
	flags.StringToStringVar(&f.minimum, "bundle-minimum-revision", nil, "`bundle=revision` below which a bundle is refused, though it is signed (repeatable)")
}

// check refuses flags without what they are about.
func (f *bundleFlags) check() error {
	switch {
	case f.config == "" && (len(f.trust) > 0 || len(f.minimum) > 0 || f.dataAPI || f.token != ""):
		return errors.New("--config-file: got none, want the OPA configuration of what --bundle-trust, --bundle-minimum-revision, --data-api and --data-api-token-file are about")
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
	persistence, err := bundle.PersistenceDirectory(text)
	if err != nil {
		return nil, fmt.Errorf("--config-file: %w", err)
	}
	out.own = filepath.Join(persistence, "assay")
	if out.floors, err = fresh.Open(filepath.Join(out.own, "revisions.json")); err != nil {
		return nil, err
	}
	options := bundle.Options{
		Config: text, Version: version, Log: config.Logger, Registerer: config.Metrics.Registerer(),
		Prepare: r.prepare, Removed: r.removed,
	}
	if len(f.trust) > 0 {
		if out.trust, err = out.bootstrap(ctx, r.wiring.Flags, config.Logger); err != nil {
			return nil, fmt.Errorf("--bundle-trust: %w", err)
		}
		options.Sources = out.trust.see
	}
	if out.manager, err = bundle.Open(options); err != nil {
		return nil, fmt.Errorf("--config-file: %w", err)
	}
	if err := out.mount(ctx, config); err != nil {
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
