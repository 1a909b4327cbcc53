package trusted

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/world"
)

func TestMain(m *testing.M) {
	builtins.Register()
	os.Exit(m.Run())
}

const (
	issuer  = "https://token.actions.githubusercontent.com"
	subject = "https://github.com/acme/policies/.github/workflows/push.yml@refs/heads/main"
)

const signers = `
signers:
  ci: {issuer: ` + issuer + `, subject: "` + subject + `"}
  fork: {issuer: ` + issuer + `, subject: "https://github.com/mallory/policies/.github/workflows/push.yml@refs/heads/main"}
  other: {issuer: ` + issuer + `, subject: "` + subject + `-evil"}
`

// lab is a registry with a Sigstore, which may be told to misbehave.
type lab struct {
	*world.World
	server *httptest.Server
	host   string
	root   string // the file with the trusted root
	// shared is the policy of all fetchers, where nothing has to be asked for anew: compiling one
	// takes a tenth of a second.
	shared *Policy

	mu      sync.Mutex
	disturb func(w http.ResponseWriter, r *http.Request) bool
	asked   []string
}

func newLab(t testing.TB) *lab {
	t.Helper()
	description, err := world.Parse([]byte(signers))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{root: filepath.Join(t.TempDir(), "trusted_root.json")}
	l.server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.server.Close)
	l.host = strings.TrimPrefix(l.server.URL, "http://")
	description.Registry = l.host
	if l.World, err = world.New(description); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	root, err := l.TrustedRoot()
	if err == nil {
		err = os.WriteFile(l.root, root, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.asked = append(l.asked, r.Method+" "+r.URL.Path)
	disturb := l.disturb
	l.mu.Unlock()
	if disturb == nil || !disturb(w, r) {
		l.Handler().ServeHTTP(w, r)
	}
}

// on answers requests whose path contains part; an empty part is none.
func (l *lab) on(part string, how http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disturb = func(w http.ResponseWriter, r *http.Request) bool {
		if part != "" && strings.Contains(r.URL.Path, part) {
			how(w, r)
			return true
		}
		return false
	}
}

// requests are those since the last call.
func (l *lab) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	return out
}

// push pushes a bundle of the revision.
func (l *lab) push(t testing.TB, tag, revision string) string {
	t.Helper()
	return l.pushBytes(t, tag, bundleOf(t, revision))
}

func (l *lab) pushBytes(t testing.TB, tag string, content []byte) string {
	t.Helper()
	image, err := artifact.Image(content, "")
	if err != nil {
		t.Fatal(err)
	}
	at, err := artifact.Push(t.Context(), artifact.Way{Private: true}, l.host+"/acme/policies:"+tag, image)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (l *lab) sign(t testing.TB, at, signer string) {
	t.Helper()
	if err := l.Sign(at, world.Signature{Signing: world.Signing{Signer: signer}}); err != nil {
		t.Fatal(err)
	}
}

// tag moves a tag to what was pushed before.
func (l *lab) tag(t testing.TB, tag, at string) {
	t.Helper()
	_, digest, _ := strings.Cut(at, "@")
	l.copyManifest(t, digest, tag)
}

// copyManifest puts a manifest under another name.
func (l *lab) copyManifest(t testing.TB, from, to string) {
	t.Helper()
	got := httptest.NewRecorder()
	l.Handler().ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/v2/acme/policies/manifests/"+from, nil))
	put := httptest.NewRequest(http.MethodPut, "/v2/acme/policies/manifests/"+to, got.Body)
	put.Header.Set("Content-Type", got.Header().Get("Content-Type"))
	done := httptest.NewRecorder()
	l.Handler().ServeHTTP(done, put)
	if got.Code != http.StatusOK || done.Code != http.StatusCreated {
		t.Fatalf("copy %s to %s: got status %d and %d", from, to, got.Code, done.Code)
	}
}

// signaturesOf is the tag of a digest's signatures.
func signaturesOf(at string) string {
	_, digest, _ := strings.Cut(at, "@")
	return strings.Replace(digest, ":", "-", 1) + ".sig"
}

// bundleOf is a bundle of assay's.
func bundleOf(t testing.TB, revision string) []byte {
	t.Helper()
	return packed(t, revision, time.Time{})
}

// packed is one that expires.
func packed(t testing.TB, revision string, expires time.Time) []byte {
	t.Helper()
	return saying(t, revision, archive.About{Format: archive.Format, Expires: expires})
}

// saying is one that says something of itself.
func saying(t testing.TB, revision string, about archive.About) []byte {
	t.Helper()
	roots, version := []string{"policies/a"}, 1
	var out bytes.Buffer
	err := archive.Write(&out, &archive.Archive{
		Manifest: bundle.Manifest{Revision: revision, Roots: &roots, RegoVersion: &version},
		About:    about,
		Files:    map[string][]byte{"policies/a/a.rego": []byte("package policies.a\n\ndeny contains \"no\" if false\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// archived is a .tar.gz of names and contents.
func archived(t testing.TB, files []string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	tars := tar.NewWriter(zipped)
	for i := 0; i < len(files); i += 2 {
		if err := tars.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tars, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tars.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// keyless is a policy that wants the right signer.
const keyless = `
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: policies}
spec:
  images: [{glob: "**/acme/policies*"}]
  authorities:
  - keyless:
      identities: [{issuer: ` + issuer + `, subject: "` + subject + `"}]
`

func (l *lab) flags() wiring.Flags {
	flags := wiring.Defaults()
	flags.TrustedRoot, flags.PrivateRegistries = l.root, true
	return flags
}

func written(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trust.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (l *lab) policy(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := NewPolicy(t.Context(), l.flags(), []string{written(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (l *lab) fetcher(t testing.TB, dir string, change func(*Options)) *Fetcher {
	t.Helper()
	if l.shared == nil {
		return l.fetcherOf(t, dir, l.policy(t, keyless), change)
	}
	return l.fetcherOf(t, dir, l.shared, change)
}

func (l *lab) fetcherOf(t testing.TB, dir string, policy *Policy, change func(*Options)) *Fetcher {
	t.Helper()
	o := Options{Name: "prod", Ref: l.host + "/acme/policies:latest", Dir: dir, Policy: policy}
	if change != nil {
		change(&o)
	}
	f, err := NewFetcher(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func floors(t testing.TB, revision string) *fresh.Floors {
	t.Helper()
	f, err := fresh.Open("")
	if err == nil {
		err = f.Raise("prod", revision, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// refuses wants an error that is all of some, with the words in it.
func refuses(t testing.TB, err error, says string, all ...error) {
	t.Helper()
	for _, want := range all {
		if !errors.Is(err, want) {
			t.Fatalf("got error %v, want %v", err, want)
		}
	}
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Fatalf("got error %v, want %q in it", err, says)
	}
}

// entries are the names in a directory.
func entries(t testing.TB, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, entry := range found {
		out = append(out, entry.Name())
	}
	return out
}

var testTime = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// fetched is the digest of the bundle that was fetched last.
func (f *Fetcher) fetched() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last.Digest
}
