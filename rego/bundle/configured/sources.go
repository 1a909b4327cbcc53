package configured

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/config"
	"github.com/open-policy-agent/opa/v1/util"
)

// Source is where the configuration has a bundle from.
type Source struct {
	// Name is the bundle's, Service that of its service, "" for a file.
	Name, Service string
	// Resource is its place in the service, or a file:// URL.
	Resource string
	// Discovery says that it is the discovery bundle.
	Discovery bool
	// OCI says that the service is a registry of OCI.
	OCI bool
	// Signed says that OPA requires a signature of its own kind, and KeyID of which key, ""
	// for that which the bundle names. Loose is the key of the configuration that takes some
	// of the bundle out of it, "" where none does.
	Signed bool
	KeyID  string
	Loose  string
	// Brought says that the key is of a configuration that was discovered, and not of the file.
	Brought bool
	// Persisted is the directory of its own that OPA keeps it in, "" where it does not.
	Persisted string
	// MinDelay and MaxDelay are those of polling, in seconds; 0 is OPA's own.
	MinDelay, MaxDelay int64
}

// Service is what of a service is for us to know.
type Service struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Type string `json:"type"`
}

func (s Service) kind() string { return strings.ToLower(s.Type) }

// Services are the services by name: OPA takes them as a list, too.
func Services(text json.RawMessage) (map[string]Service, error) {
	var list []Service
	if err := util.Unmarshal(text, &list); err == nil {
		out := map[string]Service{}
		for _, s := range list {
			out[s.Name] = s
		}
		return out, nil
	}
	byName := map[string]Service{}
	if err := util.Unmarshal(text, &byName); err != nil && len(text) > 0 {
		return nil, fmt.Errorf("services: %w", err)
	}
	return byName, nil
}

// sourceOf completes a source, of which the name is known.
func sourceOf(out Source, bundle map[string]any, services map[string]Service) (Source, error) {
	if err := exactSource(out.Place(), bundle); err != nil {
		return Source{}, err
	}
	out.Service, _ = bundle["service"].(string)
	out.Resource, _ = bundle["resource"].(string)
	if out.Resource == "" {
		out.Resource = "bundles/" + out.Name // OPA's default
	}
	if strings.HasPrefix(out.Resource, "file://") {
		out.Service = ""
	} else if out.Service == "" {
		// OPA takes any of them: which, is nobody's decision.
		if len(services) != 1 {
			return Source{}, fmt.Errorf("%s.service: got none of %d services, want its name", out.Place(), len(services))
		}
		for only := range services {
			out.Service = only
		}
	}
	if _, known := services[out.Service]; !known && out.Service != "" {
		return Source{}, fmt.Errorf("%s.service: got %q, want one of services", out.Place(), out.Service)
	}
	if persist, _ := bundle["persist"].(bool); persist {
		out.Persisted = out.Name
	}
	out.OCI = out.Service != "" && services[out.Service].kind() == "oci"
	out.Signed, out.KeyID, out.Loose = signing(bundle["signing"])
	polling, _ := bundle["polling"].(map[string]any)
	out.MinDelay, out.MaxDelay = seconds(polling["min_delay_seconds"]), seconds(polling["max_delay_seconds"])
	return out, nil
}

// signing says whether OPA wants a signature, of which key, and what takes some of a bundle out of it.
func signing(block any) (required bool, key, loose string) {
	said, required := block.(map[string]any)
	key, _ = said["keyid"].(string)
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if key != "keyid" && key != "scope" {
			loose = key
		}
	}
	return required, key, loose
}

// DiscoveryName is what a discovery bundle is called among sources, in statuses and in messages.
const DiscoveryName = "discovery bundle"

// discoveryOf is the discovery bundle of a configuration: who writes it chooses the bundles.
func discoveryOf(c *config.Config, services map[string]Service) ([]Source, error) {
	if len(c.Discovery) == 0 {
		return nil, nil
	}
	var block map[string]any
	if err := util.Unmarshal(c.Discovery, &block); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	name, named := block["name"].(string) // which OPA deprecates, as what follows of it
	read := maps.Clone(block)
	if _, ok := block["resource"].(string); !ok {
		prefix, ok := block["prefix"].(string)
		if !ok {
			prefix = "bundles"
		}
		read["resource"] = strings.Trim(prefix, "/") + "/" + strings.Trim(name, "/")
	}
	out, err := sourceOf(Source{Name: DiscoveryName, Discovery: true}, read, services)
	if err != nil {
		return nil, err
	}
	if out.Persisted != "" {
		out.Persisted = "discovery"
		if named {
			out.Persisted = name
		}
	}
	block["service"] = out.Service
	c.Discovery, err = json.Marshal(block)
	return []Source{out}, err
}

func seconds(value any) int64 {
	number, ok := value.(json.Number)
	if !ok {
		return 0
	}
	n, err := number.Int64()
	if err != nil {
		return 0
	}
	return n
}

// Sources are those of a configuration. Each block has the name of its service from now on: OPA
// looks for it only where there is one service.
func Sources(c *config.Config, bundles map[string]map[string]any, services map[string]Service) (sources []Source, err error) {
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

// Place is where a configuration has the source.
func (s Source) Place() string {
	if s.Discovery {
		return "discovery"
	}
	return "bundles." + s.Name
}

// File says that the source is one. The discovery bundle of OPA never is.
func (s Source) File() bool { return !s.Discovery && strings.HasPrefix(s.Resource, "file://") }
