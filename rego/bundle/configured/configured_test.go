package configured_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
