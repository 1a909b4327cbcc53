package wiring

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/keys"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world/sigstore"
	published "github.com/assay-dev/assay/world/tuf"
)

// cached is a root whose mirror is down.
type cached struct{ root *trust.Root }

func (c cached) Serving() (*trust.Root, string) { return c.root, "" }
func (c cached) Refresh(context.Context) error  { return errors.New("the mirror is down") }

// TestRefreshSaysWhatServesInstead: a cached root does, a named one is a warning, and no
// default root at all is an error.
func TestRefreshSaysWhatServesInstead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		root string
		of   *trust.Root
		want string
		err  bool
	}{
		"a default root in the cache": {"", &trust.Root{}, "warning: --old: trust root from the cache: the mirror is down\n", false},
		"no default root":             {"", nil, "", true},
		"a TrustRoot in the cache":    {"own", &trust.Root{}, "warning: --old: trust root from the cache: the mirror is down\n", false},
		"a TrustRoot":                 {"own", nil, "warning: --old: TrustRoot own: the mirror is down: whatever refers to it is denied\n", false},
	} {
		var said strings.Builder
		err := Refresh(t.Context(), map[string]RootSource{tt.root: cached{tt.of}}, time.Minute, "warning: --old:", &said)
		if said.String() != tt.want || (err != nil) != tt.err {
			t.Errorf("%s: got %q and %v, want %q", name, said.String(), err, tt.want)
		}
	}
}

// TestGenerationOfARootThatIsMadeLater: a set that knows no root is not the set that has one,
// though the TrustRoot says what it said.
func TestGenerationOfARootThatIsMadeLater(t *testing.T) {
	t.Parallel()
	roots := []cip.TrustRoot{{Name: "own"}}
	before := &Documents{roots: roots, Named: NamedRoots{"own": {RootSource: noRoot{"not valid yet"}}}}
	again := &Documents{roots: roots, Named: NamedRoots{"own": {RootSource: noRoot{"not valid for another second"}}}}
	after := &Documents{roots: roots, Named: NamedRoots{"own": {RootSource: givenRoot{}}}}
	if before.Generation() == after.Generation() {
		t.Error("got one generation with the root and without, want the set to be taken that has it")
	}
	if before.Generation() != again.Generation() {
		t.Error("got another generation for another cause, want none")
	}
}

// TestRootsOfTrustRootsAsTheyAreApplied: what could not serve is said at once. Nothing is fetched.
func TestRootsOfTrustRootsAsTheyAreApplied(t *testing.T) {
	t.Parallel()
	minted, err := sigstore.New(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	content, err := minted.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	repository := func(end time.Time) cip.TrustRoot {
		made, err := published.New(published.At(end), published.Target{Name: "trusted_root.json", Content: content})
		if err != nil {
			t.Fatal(err)
		}
		archive, err := made.Archive("repository/")
		if err != nil {
			t.Fatal(err)
		}
		return cip.TrustRoot{Spec: cip.TrustRootSpec{Repository: &cip.Repository{
			Root: made.Root, MirrorFS: archive, Targets: "targets", TrustedRootTarget: "trusted_root.json",
		}}}
	}
	garbage := repository(time.Now().Add(time.Hour))
	garbage.Spec.Repository.MirrorFS = []byte("garbage")
	for name, tt := range map[string]struct {
		root cip.TrustRoot
		want string
	}{
		"a repository":                  {repository(time.Now().Add(time.Hour)), ""},
		"one that has expired":          {repository(time.Now().Add(-time.Hour)), "spec.repository: "},
		"one that is none":              {garbage, "spec.repository: "},
		"a mirror that nobody can ask":  {cip.TrustRoot{Spec: cip.TrustRootSpec{Remote: &cip.Remote{Mirror: "http://127.0.0.1:1"}}}, ""},
		"keys of which there is no use": {cip.TrustRoot{Spec: cip.TrustRootSpec{SigstoreKeys: &cip.SigstoreKeys{CertificateAuthorities: []cip.CertificateAuthority{{CertChain: []byte("garbage")}}}}}, "spec.sigstoreKeys: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (Compiler{}).CheckRoot(tt.root); (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOutcomesOfRoots are those of now: one that serves and could not be refreshed is stale.
func TestOutcomesOfRoots(t *testing.T) {
	t.Parallel()
	minted, err := sigstore.New(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	content, err := minted.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	made, err := published.New(published.At(time.Now().Add(time.Hour)), published.Target{Name: "trusted_root.json", Content: content})
	if err != nil {
		t.Fatal(err)
	}
	mirror := published.Serve(made)
	t.Cleanup(mirror.Close)
	repository, err := tuf.New(tuf.Options{Mirror: mirror.URL, Root: mirror.Root, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	roots := NamedRoots{"remote": {RootSource: repositoryRoot{repository}}, "none": {RootSource: noRoot{"no archive"}}}
	said := func(when string, remote status.Outcome) {
		t.Helper()
		want := map[string]status.Outcome{"TrustRoot none": {Unresolved: map[string]string{"spec": "no archive"}}, "TrustRoot remote": remote}
		if diff := cmp.Diff(want, roots.Outcomes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	name := "TUF repository " + mirror.URL
	said("before it was fetched", status.Outcome{Unresolved: map[string]string{"spec": name + ": not fetched yet"}})
	if err := repository.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	said("once it was", status.Outcome{})
	mirror.Down.Store(true)
	failure := repository.Refresh(t.Context())
	if failure == nil {
		t.Fatal("got no error of a mirror that is down")
	}
	said("while the mirror is down", status.Outcome{Stale: []string{"spec: " + failure.Error()}})
	mirror.Down.Store(false)
	if err := repository.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	said("and after that", status.Outcome{})
}

// TestRootsThatWereReadInVain: a candidate, or a set that is refused, takes nothing from the
// sources of what serves. Another source would be refreshed in their place, and they grow stale.
func TestRootsThatWereReadInVain(t *testing.T) {
	t.Parallel()
	remote := func(mirror string) []cip.TrustRoot {
		return []cip.TrustRoot{{Name: "x", Spec: cip.TrustRootSpec{Remote: &cip.Remote{Mirror: cip.URL(mirror)}}}}
	}
	for name, read := range map[string][]cip.TrustRoot{
		"none": nil, "another one of that name": remote("https://other.invalid"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &Wiring{Resolver: keys.New(keys.Options{})}
			serving := &Documents{Named: w.rootsOf(remote("https://mirror.invalid"))}
			w.Took(serving)
			w.rootsOf(read)
			if got, want := w.rootsOf(remote("https://mirror.invalid"))["x"].RootSource, serving.Named["x"].RootSource; got != want {
				t.Errorf("got another source, which has fetched nothing, want that which serves")
			}
		})
	}
}
