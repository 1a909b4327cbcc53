package watch

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/rego/cip"
)

// SettingsName is the ConfigMap of policy-controller's settings.
const SettingsName = "config-policy-controller"

// mostRegistries bounds insecure-registries.
const mostRegistries = 256

// Settings are what the ConfigMap config-policy-controller of the system namespace says.
// What it does not say is the zero value, and the flags' to say.
type Settings struct {
	// NoMatch is what becomes of an image that no policy matches: deny, warn or allow.
	// Empty is not said; a value that nobody knows means deny (CFG-1).
	NoMatch string
	// EmptyAuthorities admits policies without authorities, whose images are all denied. It
	// is the opposite of fail-on-empty-authorities (CFG-2).
	EmptyAuthorities bool
	// InsecureRegistries are registries that may be asked over plain HTTP, as host or
	// host:port (CFG-5). nil is not said.
	InsecureRegistries []string
}

// settingsItem is what is known of the ConfigMap.
type settingsItem struct {
	serves   Settings
	known    bool // serves could be read once
	cause    string
	warnings []string
}

func (s settingsItem) same(other settingsItem) bool {
	return s.cause == other.cause && reflect.DeepEqual(s.serves, other.serves) && slices.Equal(s.warnings, other.warnings)
}

// readSettings keeps what was said before where a value cannot be read (CFG-4): the
// ConfigMap is taken as a whole or not at all. Where nothing was said before, an image that
// no policy matches is denied, whatever the flags say.
func readSettings(object *unstructured.Unstructured, before settingsItem) settingsItem {
	if !before.known {
		before.serves = Settings{NoMatch: "deny"}
	}
	before.warnings = nil
	read := readConfigMap("")(object, dependency[cip.ConfigMap]{})
	if before.cause = read.cause; read.value == nil {
		return before
	}
	settings, warnings, err := ParseSettings(read.value.Data)
	if err != nil {
		before.cause = cause(err)
		return before
	}
	return settingsItem{serves: settings, known: true, warnings: warnings}
}

// ParseSettings reads the data of the ConfigMap. Two of the keys name weaknesses that are
// not to be had here, and warnings say so.
func ParseSettings(data map[string]string) (s Settings, warnings []string, err error) {
	truth := func(key string) (bool, error) {
		value, err := strconv.ParseBool(data[key])
		if err != nil {
			return false, fmt.Errorf("%s: got %.70q, want true or false", key, data[key])
		}
		return value, nil
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		switch key {
		case "no-match-policy":
			var warning string
			if s.NoMatch, warning = noMatch(data[key]); warning != "" {
				warnings = append(warnings, warning)
			}
		case "fail-on-empty-authorities":
			fails, err := truth(key)
			if err != nil {
				return Settings{}, nil, err
			}
			if s.EmptyAuthorities = !fails; !fails { // COMB-5: upstream then admits what such a policy matches
				warnings = append(warnings, key+`: "false" admits no image: a policy without authorities denies what it matches`)
			}
		case "enable-oci11":
			enabled, err := truth(key)
			if err != nil {
				return Settings{}, nil, err
			}
			if enabled { // O11-2: upstream takes attestations from referrers without verifying them
				warnings = append(warnings, key+`: "true" has no effect: a policy names where signatures are looked for, and "signatureFormat: bundle" or "any" reads and verifies referrers`)
			}
		case "insecure-registries":
			if s.InsecureRegistries, err = registries(data[key]); err != nil {
				return Settings{}, nil, fmt.Errorf("%s: %w", key, err)
			}
		case "_example":
		default:
			warnings = append(warnings, fmt.Sprintf("%.70q is no setting", key))
		}
	}
	return s, warnings, nil
}

func noMatch(value string) (policy, warning string) {
	switch value {
	case "deny", "warn", "allow":
		return value, ""
	}
	return "deny", fmt.Sprintf("no-match-policy: got %.70q, want deny, warn or allow: taken for deny", value)
}

// registries reads a list that commas separate. A host is no URL and no repository.
func registries(value string) ([]string, error) {
	hosts := []string{} // that there are none is said as well
	for host := range strings.SplitSeq(value, ",") {
		host = strings.ToLower(strings.TrimSpace(host))
		if host == "" {
			continue
		}
		if _, err := name.NewRegistry(host, name.StrictValidation); err != nil {
			return nil, fmt.Errorf("got %.280q, want host or host:port", host)
		}
		hosts = append(hosts, host)
	}
	if len(hosts) > mostRegistries {
		return nil, fmt.Errorf("got %d registries, want at most %d", len(hosts), mostRegistries)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}
