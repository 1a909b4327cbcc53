package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/config"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

// sourcesHook shows the sources of a configuration to whoever has a say in them: that of the
// file, and each that discovery brings.
type sourcesHook struct {
	see     func([]Source) (feeds map[string]Feed, apply func(), err error)
	persist func() error
	bounds  *bounds
	// boot is what the file says of bundles and services, which discovery does not override.
	boot overrides
	// discovers is the service that the discovery bundle is brought from, "" where OPA asks itself.
	discovers string
}

// overrides are parts of the configuration of the file. OPA would put them over what was discovered
// after the hook, and so undo what the hook makes of them: the hook puts them there itself.
type overrides struct{ bundles, services any }

// takeOverrides takes them out of the configuration of the file.
func takeOverrides(boot map[string]any) overrides {
	out := overrides{boot["bundles"], boot["services"]}
	delete(boot, "bundles")
	delete(boot, "services")
	return out
}

// over puts a value of the file over one that was discovered, as OPA does.
func over(discovered, file any) any {
	below, ok := discovered.(map[string]any)
	above, is := file.(map[string]any)
	if !ok || !is {
		return file
	}
	for name, value := range above {
		if of, has := below[name]; has {
			value = over(of, value)
		}
		below[name] = value
	}
	return below
}

func overText(discovered json.RawMessage, file any) (json.RawMessage, error) {
	if file == nil {
		return discovered, nil
	}
	var value any
	if len(discovered) > 0 {
		if err := util.Unmarshal(discovered, &value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(over(value, file))
}

// OnConfig implements hooks.ConfigHook.
func (h *sourcesHook) OnConfig(_ context.Context, c *config.Config) (*config.Config, error) {
	return h.seen(c)
}

// OnConfigDiscovery implements hooks.ConfigDiscoveryHook. OPA keeps to the discovery bundle that it
// began with, and we to the directory.
func (h *sourcesHook) OnConfigDiscovery(_ context.Context, c *config.Config) (*config.Config, error) {
	c.Discovery, c.PersistenceDirectory = nil, nil
	var err error
	if c.Bundles, err = overText(c.Bundles, h.boot.bundles); err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	if c.Services, err = overText(c.Services, h.boot.services); err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	if len(c.Bundles) == 0 { // OPA goes on with those that there are
		c.Bundles = h.bounds.texts()
	}
	if err := h.sameService(c.Services); err != nil {
		return nil, err
	}
	return h.seen(c)
}

// sameService refuses what was discovered and changes whom discovery asks: it would choose what is
// discovered next. OPA does so for services that it asks itself.
func (h *sourcesHook) sameService(services json.RawMessage) error {
	var now map[string]any
	file, is := h.boot.services.(map[string]any)
	if err := util.Unmarshal(services, &now); err != nil || !is || h.discovers == "" {
		return nil //nolint:nilerr // a list is that of the file, and nothing is put over it
	}
	if !reflect.DeepEqual(now[h.discovers], file[h.discovers]) {
		return fmt.Errorf("services.%s: got another one than that of the file: updates to the discovery service are not allowed", h.discovers)
	}
	return nil
}

func (h *sourcesHook) seen(c *config.Config) (*config.Config, error) {
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
	services, err := servicesOf(c.Services)
	if err != nil {
		return nil, err
	}
	sources, err := sourcesOf(c, bundles, services)
	if err != nil {
		return nil, err
	}
	if err := h.discovery(sources, services); err != nil {
		return nil, err
	}
	next := &routes{feeds: map[string]Feed{}, bundles: written}
	var feeds map[string]Feed
	if h.see != nil {
		if feeds, next.apply, err = h.see(sources); err != nil {
			return nil, err
		}
	}
	for _, of := range sources {
		if of.Discovery {
			continue
		}
		next.names = append(next.names, of.Name)
		if feed, fed := feeds[of.Name]; fed {
			next.feeds[feeding(bundles[of.Name], of)] = feed
		}
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

// sourcesOf are those of a configuration. Each block has the name of its service from now on: OPA
// looks for it only where there is one service.
func sourcesOf(c *config.Config, bundles map[string]map[string]any, services map[string]service) (sources []Source, err error) {
	for _, name := range slices.Sorted(maps.Keys(bundles)) {
		if bundles[name] == nil {
			continue // which is none to OPA
		}
		source, err := sourceOf(Source{Name: name}, bundles[name], services)
		if err != nil {
			return nil, err
		}
		if source.Service != "" {
			bundles[name]["service"] = source.Service
		}
		sources = append(sources, source)
	}
	found, err := discoveryOf(c, services)
	if err != nil {
		return nil, err
	}
	return append(sources, found...), nil
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
func (h *sourcesHook) discovery(sources []Source, services map[string]service) error {
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
