package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/webhook/bundled"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/world"
)

const publishers = `
signers:
  ci: {issuer: https://issuer.example, subject: "https://github.com/acme/policies/push.yml@refs/heads/main"}
  fork: {issuer: https://issuer.example, subject: "https://github.com/mallory/policies/push.yml@refs/heads/main"}
`

// library is a registry with a Sigstore, which may be down.
type library struct {
	*world.World
	t    testing.TB
	host string
	down atomic.Bool
	dir  string // of the files of who may sign

	mu    sync.Mutex
	asked []string // method and path of all requests
}

func newLibrary(t testing.TB) *library {
	t.Helper()
	description, err := world.Parse([]byte(publishers))
	if err != nil {
		t.Fatal(err)
	}
	l := &library{t: t, dir: t.TempDir()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		l.mu.Lock()
		l.asked = append(l.asked, r.Method+" "+r.URL.Path)
		l.mu.Unlock()
		l.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l.host = strings.TrimPrefix(server.URL, "http://")
	description.Registry = l.host
	if l.World, err = world.New(description); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	root, err := l.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: publishers}
spec:
  images: [{glob: "%s/acme/policies@*"}]
  authorities:
    - keyless: {url: https://fulcio.example, identities: [{issuer: https://issuer.example, subject: "https://github.com/acme/policies/push.yml@refs/heads/main"}]}
      ctlog: {url: https://rekor.example}
`, l.host)
	for name, text := range map[string]string{"root.json": string(root), "trust.yaml": policy} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// publish pushes a bundle under the tag, signed by somebody, and gives its digest.
func (l *library) publish(body []byte, signer string) string {
	l.t.Helper()
	return l.publishAs("prod", body, signer)
}

// paths are those of all requests so far, each behind its method.
func (l *library) paths() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// publishAs is publish under a tag.
func (l *library) publishAs(tag string, body []byte, signer string) string {
	l.t.Helper()
	image, err := artifact.Image(body, "")
	if err != nil {
		l.t.Fatal(err)
	}
	at, err := artifact.Push(l.t.Context(), artifact.Way{Private: true}, l.host+"/acme/policies:"+tag, image)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.Sign(at, world.Signature{Signing: world.Signing{Signer: signer}}); err != nil {
		l.t.Fatal(err)
	}
	return at
}

// member is a webhook with the bundle of the library, and what it keeps in a directory.
func (l *library) member(kept string) *fleetMember {
	l.t.Helper()
	return l.memberWith(kept, func(*wiring.Flags, *bundled.Flags) {})
}

func (l *library) memberWith(kept string, change func(*wiring.Flags, *bundled.Flags)) *fleetMember {
	l.t.Helper()
	config := fmt.Sprintf("services: {reg: {url: 'http://%s', type: oci}}\npersistence_directory: %q\n"+
		"bundles: {main: {service: reg, resource: '%s/acme/policies:prod', polling: {min_delay_seconds: 1, max_delay_seconds: 1}}}\n", l.host, kept, l.host)
	return withBundles(l.t, config, func(flags *wiring.Flags, from *bundled.Flags) {
		flags.PrivateRegistries, flags.TrustedRoot = true, filepath.Join(l.dir, "root.json")
		from.Trust = []string{filepath.Join(l.dir, "trust.yaml")}
		change(flags, from)
	})
}

// becomes waits until a webhook says something of an image, or is ready in a way.
func (f *fleetMember) becomes(what string, ask func() string, want string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	got := ask()
	for ; !strings.Contains(got, want); got = ask() {
		select {
		case <-ctx.Done():
			f.t.Fatalf("%s: got %q, want %q", what, got, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (f *fleetMember) ready() string { return get(f.t, f.url, "/readyz?verbose") }

func (f *fleetMember) about(image string) func() string {
	return func() string { return f.says(image) }
}

// TestBundlesOfARegistry: only what the right identity signed becomes active, nothing older
// than that does, and a restart without the registry finds what was active last.
func TestBundlesOfARegistry(t *testing.T) {
	t.Parallel()
	l, kept := newLibrary(t), t.TempDir()
	image := "a.io/x" + digest
	l.publish(failing(t, "1", "first", "a.io/**", ""), "fork")
	f := l.member(kept)
	f.becomes("signed by somebody else", f.ready, "bundle main is not active yet")
	f.becomes("signed by somebody else", f.ready, "none of the expected identities matched")
	if got := f.says(image); !strings.Contains(got, "bundle main is not active yet") {
		t.Errorf("got %q, want a denial", got)
	}
	l.publish(failing(t, "1", "first", "a.io/**", ""), "ci")
	f.becomes("signed", f.about(image), "failed policy: first")
	l.publish(failing(t, "2", "second", "a.io/**", ""), "fork")
	f.becomes("signed by somebody else", f.ready, "[+] bundles: ok, but bundle main: ")
	l.publish(failing(t, "2", "second", "a.io/**", ""), "ci")
	f.becomes("a newer one", f.about(image), "failed policy: second")
	f.becomes("a newer one", f.ready, "[+] bundles: ok\n")
	l.publish(failing(t, "1", "first", "a.io/**", ""), "ci")
	f.becomes("an older one that is signed", f.ready, "main")
	f.becomes("an older one that is signed", f.ready, "revision")
	broken := bundleOf(t, `{"revision": "3", "roots": ["policies/x"]}`, map[string]string{"policies/x.rego": "package policies.x\n\ndeny contains nowhere if true\n"})
	l.publish(broken, "ci")
	f.becomes("one that does not compile", f.ready, "nowhere")
	if got := f.says(image); !strings.Contains(got, "failed policy: second") {
		t.Errorf("got %q, want the second to serve", got)
	}
	l.down.Store(true)
	f.becomes("a registry that is down", f.ready, "[+] bundles: ok, but bundle main: ")
	f.stop()
	again := l.member(kept)
	again.becomes("a restart without the registry", again.about(image), "failed policy: second")
	if got := get(t, again.url, "/metrics"); !strings.Contains(got, `assay_bundle_confirmed_timestamp_seconds{bundle="main"} 0`) {
		t.Error("metrics: got a bundle that was confirmed since the restart, want none")
	}
}

func TestBundlesThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	const services = "services: {web: {url: 'http://127.0.0.1:1'}, reg: {url: 'http://127.0.0.1:1', type: oci}}\nkeys: {k: {algorithm: HS256, key: secret}}\n"
	for name, tt := range map[string]struct{ config, want string }{
		"no signature":                {"bundles: {main: {service: web}}", "bundles.main: got no signing"},
		"keys that nothing refers to": {"bundles: {main: {resource: 'file:///x'}}", "bundles.main: got no signing"},
		"files without a signature":   {"bundles: {main: {service: web, signing: {keyid: k, exclude_files: [a]}}}", "bundles.main.signing.exclude_files"},
		"deltas without a signature":  {"bundles: {main: {service: web, signing: {keyid: k, allow_unsigned_delta_bundles: true}}}", "bundles.main.signing.allow_unsigned_delta_bundles"},
		"in other letters":            {"bundles: {main: {service: web, signing: {keyid: k}, Signing: null}}", `got the key "Signing"`},
		"discovery that is unsigned":  {"discovery: {service: web, resource: d}", "got no signing"},
		"discovery from a registry":   {"discovery: {service: reg, resource: d, signing: {keyid: k}}", "got a service of type oci"},
		"a repository that is none":   {"bundles: {main: {service: reg, resource: 'UPPER'}}", "main"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "opa.yaml")
			if err := os.WriteFile(file, []byte(services+tt.config+"\npersistence_directory: "+t.TempDir()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			flags, from := wiring.Defaults(), bundled.Flags{Config: file, Trust: []string{filepath.Join(l.dir, "trust.yaml")}}
			flags.TrustedRoot, flags.Bundles = filepath.Join(l.dir, "root.json"), true
			if err := opened(t, flags, from); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
