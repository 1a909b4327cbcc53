package configured_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/config"

	"github.com/assay-dev/assay/rego/bundle/configured"
)

func TestRead(t *testing.T) {
	t.Parallel()
	env := func(name string) string { return map[string]string{"TOKEN": "t0", "A B": "c"}[name] }
	for name, tt := range map[string]struct{ text, want, err string }{
		"variables of the environment": {"services: {s: {url: x, credentials: {bearer: {token: '${TOKEN}'}}}}", "services: {s: {url: x, credentials: {bearer: {token: 't0'}}}}", ""},
		"one that is not there":        {"a: '${NOBODY}'", "a: ''", ""},
		"a dollar of its own":          {"a: '$TOKEN ${'", "a: '$TOKEN ${'", ""},
		"JSON":                         {`{"a": 1}`, `{"a": 1}`, ""},
		"no YAML":                      {"a: [", "", "opa.yaml: "},
		"a list":                       {"[a]", "", "opa.yaml: "},
		"the form for one bundle":      {"bundle: {name: x}", "", "bundle: got the form for one bundle"},
		"more than anybody writes":     {"a: " + strings.Repeat("x", 1<<20), "", "got more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "opa.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := configured.Read(file, env)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestKeysOfOPAsServerAreIgnored(t *testing.T) {
	t.Parallel()
	got := configured.Ignored([]byte("server: {}\nbundles: {}\ndistributed_tracing: {}\n"))
	if diff := cmp.Diff([]string{"distributed_tracing", "server"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file:// URL of a relative place has its first segment for a host.
func TestThePersistenceDirectoryIsAbsolute(t *testing.T) {
	t.Parallel()
	want, err := filepath.Abs("kept")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := configured.PersistenceDirectory([]byte(`{"persistence_directory": "./kept"}`)); err != nil || got != want {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

// TestKeysInOtherLetters: OPA takes them for its own, and of two the last.
func TestKeysInOtherLetters(t *testing.T) {
	t.Parallel()
	services := map[string]configured.Service{"s": {Name: "s"}}
	for name, tt := range map[string]struct{ block, want string }{
		"a signature that is none": {`{"service": "s", "signing": {"keyid": "k"}, "ſigning": null}`, `bundles.a: got the key "ſigning", want "signing"`},
		"another service":          {`{"service": "s", "SERVICE": "other"}`, `bundles.a: got the key "SERVICE", want "service"`},
		"what is kept":             {`{"service": "s", "Persist": true}`, `bundles.a: got the key "Persist", want "persist"`},
		"another key":              {`{"service": "s", "signing": {"keyid": "k", "KeyID": "other"}}`, `bundles.a.signing: got the key "KeyID", want "keyid"`},
		"another time":             {`{"service": "s", "polling": {"Min_delay_seconds": 1}}`, `bundles.a.polling: got the key "Min_delay_seconds"`},
		"one that nobody has":      {`{"service": "s", "colour": "red"}`, ""},
		"as they are written":      {`{"service": "s", "persist": true, "signing": {"keyid": "k", "scope": "x"}, "polling": {"min_delay_seconds": 1}}`, ""},
	} {
		var block map[string]any
		if err := json.Unmarshal([]byte(tt.block), &block); err != nil {
			t.Fatal(err)
		}
		_, err := configured.Sources(&config.Config{}, map[string]map[string]any{"a": block}, services)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	file := filepath.Join(t.TempDir(), "opa.yaml")
	if err := os.WriteFile(file, []byte("Bundles: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := configured.Read(file, os.Getenv); err == nil || !strings.Contains(err.Error(), `got the key "Bundles", want "bundles"`) {
		t.Errorf("a file: got %v, want a refusal", err)
	}
}
