package configured

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// OPA takes a key that is written in other letters, SIGNING or ſigning, for the one that it knows, and of two the
// last one. Whoever reads the same text as it is written would see another configuration.

func ofFile() []string {
	return []string{
		"bundle", "bundles", "caching", "decision_logs", "default_authorization_decision", "default_decision", "discovery", "distributed_tracing",
		"keys", "labels", "nd_builtin_cache", "persistence_directory", "plugins", "server", "services", "status", "storage",
	}
}

func ofSource() []string {
	return []string{"decision", "name", "persist", "polling", "prefix", "resource", "service", "signing", "size_limit_bytes", "trigger"}
}

func ofSigning() []string {
	return []string{"allow_unsigned_delta_bundles", "exclude_files", "keyid", "scope"}
}

func ofPolling() []string {
	return []string{"long_polling_timeout_seconds", "max_delay_seconds", "min_delay_seconds", "superseded_etag_ttl_seconds"}
}

// exact refuses keys that are one of those in other letters.
func exact(place string, block map[string]any, known []string) error {
	for _, key := range slices.Sorted(maps.Keys(block)) {
		for _, as := range known {
			if key != as && strings.EqualFold(key, as) {
				return fmt.Errorf("%s: got the key %q, want %q as it is written", place, key, as)
			}
		}
	}
	return nil
}

// exactSource does so with the block of a source and what is in it.
func exactSource(place string, block map[string]any) error {
	if err := exact(place, block, ofSource()); err != nil {
		return err
	}
	signing, _ := block["signing"].(map[string]any)
	if err := exact(place+".signing", signing, ofSigning()); err != nil {
		return err
	}
	polling, _ := block["polling"].(map[string]any)
	return exact(place+".polling", polling, ofPolling())
}
