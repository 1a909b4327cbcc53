package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/config"
	"github.com/open-policy-agent/opa/v1/util"
)

// mostConfig bounds a configuration file.
const mostConfig = 1 << 20

// ReadConfig reads an OPA configuration file, in which ${NAME} stands for a variable of the
// environment, as it does for OPA.
func ReadConfig(file string, env func(string) string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, mostConfig+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(text) > mostConfig {
		return nil, fmt.Errorf("%s: got more than %d bytes", file, mostConfig)
	}
	text = regexp.MustCompile(`\$\{[^{}]+\}`).ReplaceAllFunc(text, func(name []byte) []byte {
		return []byte(env(strings.TrimSpace(string(name[2 : len(name)-1]))))
	})
	var tree map[string]any
	if err := util.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, legacy := tree["bundle"]; legacy {
		return nil, fmt.Errorf("%s: bundle: got the form for one bundle, which OPA deprecates, want bundles", file)
	}
	return text, nil
}

// Ignored are the keys of a configuration that are for OPA's own server, and have no effect.
func Ignored(text []byte) (out []string) {
	var tree map[string]any
	if util.Unmarshal(text, &tree) != nil {
		return nil
	}
	for _, name := range []string{"default_authorization_decision", "distributed_tracing", "server", "storage"} {
		if _, has := tree[name]; has {
			out = append(out, name)
		}
	}
	return out
}

// Candidate is a configuration with one bundle from another resource, and nothing but bundles:
// what it brings is tried, and told to nobody.
func Candidate(text []byte, name, resource string) ([]byte, error) {
	var tree map[string]any
	if err := util.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	bundles, _ := tree["bundles"].(map[string]any)
	of, ok := bundles[name].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("bundles.%s: got none, want the bundle that there is a candidate for", name)
	}
	of["resource"] = resource
	for _, bundle := range bundles {
		if block, ok := bundle.(map[string]any); ok {
			delete(block, "persist")
		}
	}
	for _, key := range []string{"discovery", "decision_logs", "status", "plugins"} {
		delete(tree, key)
	}
	return json.Marshal(tree)
}

// PersistenceDirectory is where a configuration has what outlives the process. It is absolute:
// the URL of a file has no place for another.
func PersistenceDirectory(text []byte) (string, error) {
	parsed, err := config.ParseConfig(text, "")
	if err != nil {
		return "", err
	}
	directory, err := parsed.GetPersistenceDirectory()
	if err != nil {
		return "", err
	}
	return filepath.Abs(directory)
}

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
	// Persisted is the directory of its own that OPA keeps it in, "" where it does not.
	Persisted string
	// MinDelay and MaxDelay are those of polling, in seconds; 0 is OPA's own.
	MinDelay, MaxDelay int64
}

// service is what of a service is for us to know.
type service struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Type string `json:"type"`
}

func (s service) kind() string { return strings.ToLower(s.Type) }

// servicesOf are the services by name: OPA takes them as a list, too.
func servicesOf(text json.RawMessage) (map[string]service, error) {
	var list []service
	if err := util.Unmarshal(text, &list); err == nil {
		out := map[string]service{}
		for _, s := range list {
			out[s.Name] = s
		}
		return out, nil
	}
	byName := map[string]service{}
	if err := util.Unmarshal(text, &byName); err != nil && len(text) > 0 {
		return nil, fmt.Errorf("services: %w", err)
	}
	return byName, nil
}

// sourceOf completes a source, of which the name is known.
func sourceOf(out Source, bundle map[string]any, services map[string]service) (Source, error) {
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
			return Source{}, fmt.Errorf("%s.service: got none of %d services, want its name", out.place(), len(services))
		}
		for only := range services {
			out.Service = only
		}
	}
	if _, known := services[out.Service]; !known && out.Service != "" {
		return Source{}, fmt.Errorf("%s.service: got %q, want one of services", out.place(), out.Service)
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
func discoveryOf(c *config.Config, services map[string]service) ([]Source, error) {
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
