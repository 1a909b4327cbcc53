package bundles_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/assay-dev/assay/cmd/assay/bundles"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

// TestRegoThatTheGateRefuses is refused before it travels: also of packages that no policy imports,
// which OPA evaluates by itself.
func TestRegoThatTheGateRefuses(t *testing.T) {
	t.Parallel()
	const calls = "http.send({\"url\": \"http://a.example\", \"method\": \"get\"}).status_code == 200\n"
	for name, tt := range map[string]struct {
		file, text, root string
		flags            []string
		want             string // "" where it is built
	}{
		"a mask":                          {"logs/mask.rego", "package logs\n\nmask contains \"/input\" if " + calls, "logs", nil, "undefined function http.send"},
		"a mask that the flags allow":     {"logs/mask.rego", "package logs\n\nmask contains \"/input\" if " + calls, "logs", []string{"--allow-builtin", "http.send", "--allow-net", "a.example"}, ""},
		"a library":                       {"lib/names.rego", "package lib.names\n\nx if opa.runtime()\n", "lib/names", nil, "undefined function opa.runtime"},
		"a test":                          {"a_test.rego", "package a_test\n\ntest_a if " + calls, "a_test", nil, "undefined function http.send"},
		"a function of our library":       {"lib/names.rego", "package lib.names\n\nx if data.assay.lib.references.elsewhere(\"a\", [\"b\"])\n", "lib/names", nil, ""},
		"one that our library has not":    {"lib/names.rego", "package lib.names\n\nx if data.assay.lib.references.nowhere(\"a\")\n", "lib/names", nil, "undefined function data.assay.lib.references.nowhere"},
		"a function that nobody has":      {"lib/names.rego", "package lib.names\n\nx if data.lib.other.f(1)\n", "lib/names", nil, "undefined function data.lib.other.f"},
		"what calls nothing that is off":  {"logs/mask.rego", "package logs\n\nmask contains \"/input\" if input.a\n", "logs", nil, ""},
		"a function of another directory": {"lib/names.rego", "package lib.names\n\nx if data.lib.names.f(1)\n\nf(x) := x\n", "lib/names", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, at := t.TempDir(), filepath.Join(t.TempDir(), "bundle.tar.gz")
			write(t, dir, map[string]string{tt.file: tt.text})
			said, err := run(t, bundles.Options{Version: "test"}, append([]string{"build", dir, "--revision", "1", "-o", at}, tt.flags...)...)
			refused(t, "build", tt.want, err, said)

			// One that somebody else built.
			var file bytes.Buffer
			of := &archive.Archive{Manifest: bundle.Manifest{Revision: "1", Roots: &[]string{tt.root}}, Files: map[string][]byte{tt.file: []byte(tt.text)}}
			if err := archive.Write(&file, of); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			said, err = run(t, bundles.Options{Version: "test"}, append([]string{"verify-bundle", at}, tt.flags...)...)
			refused(t, "verify-bundle", tt.want, err, said)
			if strings.Contains(said, os.TempDir()) {
				t.Errorf("verify-bundle: got the directory that it works in: %s", said)
			}
		})
	}
}

func refused(t *testing.T, what, want string, err error, said string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: got %v, want none\n%s", what, err, said)
		}
		return
	}
	if err != nil {
		said += err.Error()
	}
	if err == nil || !strings.Contains(said, "modules of the bundles, which may call nothing that is off") || !strings.Contains(said, want) {
		t.Errorf("%s: got %v, want a refusal with %q\n%s", what, err, want, said)
	}
}
