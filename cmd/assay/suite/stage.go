package suite

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/cmd/assay/suite/fixture"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
)

// stage is what the tests of a run play on: one world, its facts, and the policy sets
// that judge it.
type stage struct {
	world    *world.World
	now      time.Time
	registry *oci.Client
	cue      *cue.Evaluator
	resolver *keys.Resolver
	root     *trust.Root // without trustRootRef
	named    *trust.Root // with one
	policies *policies

	standalone *builtins.Facts            // of Rego tests
	facts      map[string]*builtins.Facts // by Config.IdentityRegexp
	engines    map[engineKey]compiledEngine
	// warnings are about policies that fail whatever they judge.
	warnings []string
}

// engineKey names a policy set: by the file whose resources it has, if any, and by how
// it is set up.
type engineKey struct {
	file   string
	config fixture.Config
}

// compiledEngine is an engine, or why there is none: cases of one set fail with it once.
type compiledEngine struct {
	*rego.Engine
	err error
}

// errNetwork is why nothing outside of the world is had.
var errNetwork = errors.New("tests have no network")

func newStage(ctx context.Context, from *loaded) (*stage, error) {
	found, err := readPolicies(from)
	if err != nil {
		return nil, err
	}
	description, err := fixture.Merge(from.fixtures)
	if err != nil {
		return nil, err
	}
	w, err := world.New(description)
	if err != nil {
		return nil, err
	}
	s := &stage{
		world: w, policies: found, now: w.Now().Add(time.Second), // what was signed at its time is in the past
		facts: map[string]*builtins.Facts{}, engines: map[engineKey]compiledEngine{},
	}
	if err := s.equip(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := s.compile(ctx, from.fixtures); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return s, nil
}

// close ends the world.
func (s *stage) close() error { return s.world.Close() }

// equip makes what does not depend on policies.
func (s *stage) equip() (err error) {
	clock := func() time.Time { return s.now }
	if s.registry, err = oci.New(oci.WithTransport(s.world.Transport()), oci.WithClock(clock)); err != nil {
		return err
	}
	if s.cue, err = cue.New(cue.Options{}); err != nil {
		return err
	}
	s.resolver = keys.New(keys.Options{
		Transport: s.world.Transport(),
		KMS:       func(context.Context, string) (crypto.PublicKey, error) { return nil, errNetwork },
	})
	trusted, err := s.world.TrustedRoot()
	if err != nil {
		return err
	}
	if s.root, err = trust.Parse(trusted); err != nil {
		return err
	}
	resource, err := cip.Parse(s.world.TrustRoot("world"))
	if err != nil {
		return err
	}
	s.named, err = trust.FromKeys(resource.TrustRoots[0].Spec.SigstoreKeys)
	return err
}

// compile makes the policy sets that cases ask.
func (s *stage) compile(ctx context.Context, files []*fixture.File) (err error) {
	if s.standalone, err = s.factsFor(fixture.Config{}, s.policies); err != nil {
		return err
	}
	var errs []error
	told := map[string]bool{} // all cases ask the same policies
	note := func(err error) {
		if err != nil && !told[err.Error()] {
			told[err.Error()] = true
			errs = append(errs, err)
		}
	}
	for _, file := range files {
		for _, c := range file.Cases {
			_, err := s.engine(ctx, file, c.Config)
			note(err)
		}
	}
	if len(s.policies.cips)+len(s.policies.modules) > 0 { // Rego tests ask them
		asked := len(s.engines) > 0
		warnings := s.warnings
		_, err := s.engine(ctx, nil, fixture.Config{})
		if note(err); asked {
			s.warnings = warnings // fixtures may bring along what these lack
		}
	}
	return errors.Join(errs...)
}

// engine is the one for cases of a file, nil for none, that are set up so.
func (s *stage) engine(ctx context.Context, file *fixture.File, config fixture.Config) (*rego.Engine, error) {
	key := engineKey{config: config}
	if file != nil && len(file.Resources) > 0 {
		key.file = file.Path
	}
	known, ok := s.engines[key]
	if !ok {
		known.Engine, known.err = s.newEngine(ctx, key, file)
		s.engines[key] = known
	}
	return known.Engine, known.err
}

func (s *stage) newEngine(ctx context.Context, key engineKey, file *fixture.File) (*rego.Engine, error) {
	found, config := s.policies, key.config
	if key.file != "" {
		own, err := readExpanded(s.world, file)
		if err != nil {
			return nil, err
		}
		found = found.replacedBy(own)
	}
	resolved, warnings := s.resolver.Resolve(ctx, found.cips, found.sources)
	facts, err := s.factsFor(config, found)
	if err != nil {
		return nil, err
	}
	set, err := rego.Compile(ctx, rego.Source{
		Policies: resolved, Modules: found.modules, V0: found.v0, Data: found.data, Workloads: found.workloads,
		Config: rego.Config{NoMatch: or(config.NoMatch, "deny"), Tags: or(config.Tags, "resolve"), Policies: or(config.InlinePolicies, "upstream")},
		Open:   func(about rego.Workload) rego.Answers { return facts.Open(oci.Credentials{}, tenant.Workload(about)) },
	})
	if err != nil {
		return nil, err
	}
	for _, warning := range append(append(found.warnings, warnings...), set.Warnings()...) {
		s.warn(key.file, warning)
	}
	return rego.NewEngine(set, nil), nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// factsFor are the facts of the world for a set: its Sigstore is the default root, and
// each that a policy names but for those of the fixture itself.
func (s *stage) factsFor(config fixture.Config, found *policies) (*builtins.Facts, error) {
	key := or(config.IdentityRegexp, "upstream")
	if known := s.facts[key]; known != nil && len(found.roots) == 0 {
		return known, nil
	}
	roots := trust.Roots{Default: s.root, Named: map[string]*trust.Root{}, Causes: map[string]string{}}
	for _, name := range found.refs() {
		roots.Named[name] = s.named
	}
	for _, resource := range found.roots {
		root, err := rootOf(resource, s.now)
		if roots.Named[resource.Name] = root; err != nil {
			delete(roots.Named, resource.Name)
			roots.Causes[resource.Name] = err.Error()
		}
	}
	facts, err := builtins.New(s.registry, func() trust.Roots { return roots }, builtins.Options{
		AnchoredIdentities: key == "anchored", CUE: s.cue, Now: func() time.Time { return s.now },
	})
	if err == nil && len(found.roots) == 0 {
		s.facts[key] = facts
	}
	return facts, err
}

func rootOf(resource cip.TrustRoot, now time.Time) (*trust.Root, error) {
	switch spec := resource.Spec; {
	case spec.SigstoreKeys != nil:
		return trust.FromKeys(spec.SigstoreKeys)
	case spec.Repository != nil:
		archive, err := trust.OpenArchive(*spec.Repository, now)
		if err != nil {
			return nil, err
		}
		root, cause := archive.Serving(now)
		if root == nil {
			return nil, errors.New(cause)
		}
		return root, nil
	}
	return nil, errNetwork
}

func (s *stage) warn(file, warning string) {
	if file != "" {
		warning = fmt.Sprintf("%s: %s", file, warning)
	}
	for _, known := range s.warnings {
		if known == warning {
			return
		}
	}
	s.warnings = append(s.warnings, warning)
}

// metadata answers the builtins that Rego tests call: from the world, and of the
// policy set without a fixture's own resources.
func (s *stage) metadata() map[string]any {
	session := s.standalone.Open(oci.Credentials{}, tenant.Workload{})
	session.Block()
	if known := s.engines[engineKey{}]; known.Engine != nil {
		return known.Set().Metadata(session)
	}
	return session.Metadata(nil, nil, nil)
}
