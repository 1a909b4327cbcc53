package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/tuf"
)

// mirror is a TUF repository of a world's root, behind a mirror.
func mirror(t *testing.T, w *world.World) *tuf.Mirror {
	t.Helper()
	root, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	made, err := tuf.New(tuf.At(time.Now().Add(time.Hour)), tuf.Target{Name: "trusted_root.json", Content: root})
	if err != nil {
		t.Fatal(err)
	}
	m := tuf.Serve(made)
	t.Cleanup(m.Close)
	return m
}

// resource is a TrustRoot that can be made, as text.
func resource(t *testing.T, make func(name string) ([]byte, error)) string {
	t.Helper()
	text, err := make("own")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// broken is a repository that nobody can read.
func broken(m *tuf.Mirror) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		return json.Marshal(map[string]any{
			"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"repository": map[string]any{"root": m.Root, "mirrorFS": []byte{
				0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}}},
		})
	}
}

// rooted is a policy about the repository whose signatures a TrustRoot verifies.
func rooted(w *world.World, name, repository, root string) string {
	return `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "` + name + `"}, "spec": {
		"images": [{"glob": "` + w.Expand("${registry}") + `/` + repository + `*"}], "authorities": [{
		"keyless": {"identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}], "trustRootRef": "` + root + `"},
		"ctlog": {"trustRootRef": "` + root + `"}}]}}`
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func rootedFlags(t *testing.T, dir string) wiring.Flags {
	t.Helper()
	return wiring.Flags{
		Policies: []string{dir}, NoMatch: "deny", IdentityRegexp: "upstream", InlinePolicies: "upstream", PrivateRegistries: true,
		TUF: wiring.TUFFlags{Mirror: "http://127.0.0.1:1", Cache: t.TempDir(), MaxStale: time.Hour},
	}
}

// TestVerifyWithTrustRootsOfAllKinds names each in a policy, and refreshes no other.
func TestVerifyWithTrustRootsOfAllKinds(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	m, unused := mirror(t, w), mirror(t, w)
	for name, test := range map[string]struct {
		resource, policy, stdout, stderr string
		want                             error
	}{
		"TR-1: repository": {resource(t, m.Repository.TrustRoot), rooted(w, "p", "acme/", "own"), "admitted", "", nil},
		"TR-2: remote":     {resource(t, m.TrustRoot), rooted(w, "p", "acme/", "own"), "admitted", "", nil},
		"a repository that is broken": {resource(t, broken(m)), rooted(w, "p", "acme/", "own"),
			"trustRootRef own: spec.repository.mirrorFS: archive: ", "warning: TrustRoot own: spec.repository.mirrorFS: ", errDenied},
		"a remote that is down": {strings.Replace(resource(t, m.TrustRoot), m.URL, "http://127.0.0.1:1", 1), rooted(w, "p", "acme/", "own"),
			"trustRootRef own: TUF repository http://127.0.0.1:1: ", "warning: TrustRoot own: TUF repository http://127.0.0.1:1: ", errDenied},
		"a name that nothing defines": {resource(t, unused.TrustRoot), rooted(w, "p", "acme/", "other"),
			"trustRootRef other not found", "policy p: spec.authorities[0]: trustRootRef other not found in the policy files: ", errDenied},
		"a broken one that this image does not need": {resource(t, broken(m)), rooted(w, "p", "other/", "own") + "\n---\n" +
			`{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "q"}, "spec": {
			"images": [{"glob": "**"}], "authorities": [{"static": {"action": "pass"}}]}}`, "admitted", "warning: TrustRoot own: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"root.yaml": test.resource, "policy.yaml": test.policy})
			var stdout, stderr bytes.Buffer
			flags := &verifyFlags{Flags: rootedFlags(t, dir), images: []string{w.Expand("${app@}")}, output: "text", timeout: time.Minute}
			if err := verify(t.Context(), flags, &stdout, &stderr); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("got %s\n%s, want %q and %q", &stdout, &stderr, test.stdout, test.stderr)
			}
		})
	}
	t.Cleanup(func() {
		if got := unused.Asked.Load(); got != 0 {
			t.Errorf("got %d requests for a TrustRoot that no policy names, want none", got)
		}
	})
}

// TestVerifyWithACACert runs a policy with a certificate authority of its own through
// the compiler and the builtins: KLS-2.
func TestVerifyWithACACert(t *testing.T) {
	t.Parallel()
	w, stranger := smallWorld(t), smallWorld(t)
	for name, test := range map[string]struct {
		authority *world.World
		stdout    string
		want      error
	}{
		"KLS-2: its own authority":                                       {w, "admitted", nil},
		"KLS-2: a stranger's, though the trusted root has the right one": {stranger, "cert verification failed", errDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := cip.Parse(test.authority.TrustRoot("any"))
			if err != nil {
				t.Fatal(err)
			}
			chain, err := json.Marshal(string(parsed.TrustRoots[0].Spec.SigstoreKeys.CertificateAuthorities[0].CertChain))
			if err != nil {
				t.Fatal(err)
			}
			flags := flagsFor(t, w, `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "own"}, "spec": {
				"images": [{"glob": "**"}], "authorities": [{"keyless": {
				"identities": [{"issuer": "https://github.com/login/oauth", "subject": "jane@example.com"}], "ca-cert": {"data": `+string(chain)+`}}}]}}`)
			flags.NoMatch, flags.IdentityRegexp, flags.InlinePolicies, flags.PrivateRegistries = "deny", "upstream", "upstream", true
			var stdout, stderr bytes.Buffer
			if err := verify(t.Context(), &verifyFlags{Flags: flags, images: []string{w.Expand("${app@}")}, output: "text", timeout: time.Minute},
				&stdout, &stderr); !errors.Is(err, test.want) || !strings.Contains(stdout.String(), test.stdout) {
				t.Errorf("got %v\n%s%s\nwant %v, %q", err, &stdout, &stderr, test.want, test.stdout)
			}
		})
	}
}
