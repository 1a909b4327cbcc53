package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/config"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
)

// sourcesHook shows the sources of a configuration to whoever has a say in them: that of the
// file, and each that discovery brings.
type sourcesHook struct {
	see     func([]configured.Source) (feeds map[string]Feed, apply func(), err error)
	persist func() error
	bounds  *bounds
	// boot is what the file says of bundles and services, which discovery does not override.
	boot configured.Overrides
	// discovers is the service that the discovery bundle is brought from, "" where OPA asks itself.
	discovers string
}

// OnConfig implements hooks.ConfigHook.
func (h *sourcesHook) OnConfig(_ context.Context, c *config.Config) (*config.Config, error) {
	return h.seen(c, nil)
}

// OnConfigDiscovery implements hooks.ConfigDiscoveryHook. OPA keeps to the discovery bundle that it
// began with, and we to the directory.
func (h *sourcesHook) OnConfigDiscovery(_ context.Context, c *config.Config) (*config.Config, error) {
	c.Discovery, c.PersistenceDirectory = nil, nil
	if err := h.boot.Over(c); err != nil {
		return nil, err
	}
	if len(c.Bundles) == 0 { // OPA goes on with those that there are
		c.Bundles = h.bounds.texts()
	}
	if err := h.boot.SameService(h.discovers, c.Services); err != nil {
		return nil, err
	}
	return h.seen(c, h.bounds.latest())
}

// seen takes a configuration, which is of that discovery bundle, nil where it is that of the file.
func (h *sourcesHook) seen(c *config.Config, of *archive.Discovery) (*config.Config, error) {
	if len(c.Bundle) > 0 {
		return nil, errors.New("bundle: got the form for one bundle, which OPA deprecates, want bundles")
	}
	written := slices.Clone(c.Bundles)
	var bundles map[string]map[string]any
	if len(c.Bundles) > 0 {
		if err := util.Unmarshal(c.Bundles, &bundles); err != nil {
			return nil, fmt.Errorf("bundles: %w", err)
		}
		limited(bundles)
	}
	services, err := configured.Services(c.Services)
	if err != nil {
		return nil, err
	}
	sources, err := configured.Sources(c, bundles, services)
	if err != nil {
		return nil, err
	}
	h.boot.Brought(sources)
	next := &routes{feeds: map[string]Feed{}, asked: map[string]bool{}, bundles: written, of: of}
	var feeds map[string]Feed
	if h.see != nil {
		if feeds, next.apply, err = h.see(sources); err != nil {
			return nil, err
		}
	}
	if err := h.discovery(sources, services); err != nil {
		return nil, err
	}
	if err := h.routed(next, sources, feeds, bundles, services); err != nil {
		return nil, err
	}
	if next.carriers, err = h.carry(sources, feeds, bundles, &c.Discovery); err != nil {
		return nil, err
	}
	if next.persisted, err = h.persisted(sources, feeds, services); err != nil {
		return nil, err
	}
	h.bounds.stage(next)
	if len(next.feeds)+len(next.carriers) > 0 {
		// The manager goes on with the configuration that it has: another one would be nobody's.
		if c.Services, err = withFeeds(c.Services); err != nil {
			return nil, err
		}
	}
	if len(bundles) > 0 {
		c.Bundles, err = json.Marshal(bundles)
	}
	return c, err
}

// routed has each bundle be asked for where it is: at its feed, or at its service.
func (h *sourcesHook) routed(next *routes, sources []configured.Source, feeds map[string]Feed, bundles map[string]map[string]any, services map[string]configured.Service) error {
	for _, of := range sources {
		if of.Discovery {
			continue
		}
		next.names = append(next.names, of.Name)
		if feed, fed := feeds[of.Name]; fed {
			next.feeds[feeding(bundles[of.Name], of)] = feed
			continue
		}
		at, err := h.bounds.askedAt(of, services)
		if err != nil {
			return err
		}
		next.asked[at] = true
	}
	return nil
}

// limited bounds the files of bundles where the configuration does not: OPA's own bound is a
// gigabyte each.
func limited(bundles map[string]map[string]any) {
	for _, bundle := range bundles {
		if _, own := bundle["size_limit_bytes"]; !own && bundle != nil {
			bundle["size_limit_bytes"] = archive.MaxFile
		}
	}
}

// discovery has the discovery bundle known by where OPA asks for it.
func (h *sourcesHook) discovery(sources []configured.Source, services map[string]configured.Service) error {
	for _, of := range sources {
		if !of.Discovery {
			continue
		}
		at, err := h.bounds.askedAt(of, services)
		if err != nil {
			return err
		}
		h.bounds.discovers(at)
	}
	return nil
}
