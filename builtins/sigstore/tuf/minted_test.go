package tuf

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/assay-dev/assay/world/sigstore"
)

// minted is a TUF repository of our own on disk, served over HTTP: one key for
// every role, one target, the trusted root of a Sigstore in memory.
type minted struct {
	dir    string
	root   []byte
	mirror string
	signer signature.Signer
}

func mint(t *testing.T, expires time.Time) *minted {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	m := &minted{dir: t.TempDir(), signer: signer}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	root := metadata.Root(time.Now().Add(24 * time.Hour))
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if err := root.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	m.root = write(t, m, "1.root.json", root)
	m.publish(t, expires)
	server := httptest.NewServer(http.FileServer(http.Dir(m.dir)))
	t.Cleanup(server.Close)
	m.mirror = server.URL
	return m
}

// publish writes the target and the metadata that leads to it.
func (m *minted) publish(t *testing.T, expires time.Time) {
	t.Helper()
	made, err := sigstore.New(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	content, err := made.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	file, err := metadata.TargetFile().FromBytes("trusted_root.json", content, "sha256")
	if err != nil {
		t.Fatal(err)
	}
	targets := metadata.Targets(expires)
	targets.Signed.Targets["trusted_root.json"] = file
	write(t, m, "1.targets.json", targets)
	write(t, m, "1.snapshot.json", metadata.Snapshot(expires))
	write(t, m, "timestamp.json", metadata.Timestamp(expires))
	m.put(t, filepath.Join("targets", file.Hashes["sha256"].String()+".trusted_root.json"), content)
}

func write[R metadata.Roles](t *testing.T, m *minted, name string, md *metadata.Metadata[R]) []byte {
	t.Helper()
	if _, err := md.Sign(m.signer); err != nil {
		t.Fatal(err)
	}
	data, err := md.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	m.put(t, name, data)
	return data
}

func (m *minted) put(t *testing.T, name string, data []byte) {
	t.Helper()
	file := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m *minted) open(t *testing.T) *Repository {
	t.Helper()
	r, err := New(Options{Mirror: m.mirror, Root: m.root, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRefreshOfAMintedRepository(t *testing.T) {
	t.Parallel()
	r := mint(t, time.Now().Add(time.Hour)).open(t)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, cause := r.Root(); got == nil {
		t.Errorf("got no root, %q", cause)
	}
}

// TestRefreshRefuses whatever the repository does not vouch for now.
func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expires time.Time
		spoil   func(*testing.T, *minted)
		want    string
	}{
		"metadata that has expired": {time.Now().Add(-time.Minute), func(*testing.T, *minted) {}, "expired"},
		"metadata of another key": {time.Now().Add(time.Hour), func(t *testing.T, m *minted) {
			m.signer = mint(t, time.Now().Add(time.Hour)).signer
			m.publish(t, time.Now().Add(time.Hour))
		}, "not enough signatures"},
		"a target that is not the one": {time.Now().Add(time.Hour), func(t *testing.T, m *minted) {
			targets, err := filepath.Glob(filepath.Join(m.dir, "targets", "*"))
			if err != nil || len(targets) != 1 {
				t.Fatal(targets, err)
			}
			m.put(t, filepath.Join("targets", filepath.Base(targets[0])), []byte("{}"))
		}, "trusted_root.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mint(t, tt.expires)
			tt.spoil(t, m)
			r := m.open(t)
			if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if got, cause := r.Root(); got != nil || !strings.Contains(cause, m.mirror) {
				t.Errorf("got %v, %q, want no root, and the mirror in the cause", got, cause)
			}
		})
	}
}

// TestFailedRefreshKeepsTheLastRoot while it is young enough.
func TestFailedRefreshKeepsTheLastRoot(t *testing.T) {
	t.Parallel()
	m := mint(t, time.Now().Add(time.Hour))
	r := m.open(t)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := r.Root()
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	if failure := r.Failure(); failure != nil {
		t.Errorf("before: got %v, want no failure", failure)
	}
	if err := r.Refresh(t.Context()); err == nil || !errors.Is(r.Failure(), err) {
		t.Errorf("got %v and %v, want to be told, now and later", err, r.Failure())
	}
	if after, cause := r.Root(); after == nil || after.Hash() != before.Hash() {
		t.Errorf("got %v, %q, want the last good root", after, cause)
	}
}

// TestAge is that of the metadata that was read last, and the first end of it.
func TestAge(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	m := mint(t, expires)
	r := m.open(t)
	if read, end := r.Age(); !read.IsZero() || !end.IsZero() {
		t.Errorf("before: got %s and %s, want none", read, end)
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	read, end := r.Age()
	if time.Since(read) > time.Minute || !end.Equal(expires) {
		t.Errorf("got read at %s and the end at %s, want now and %s", read, end, expires)
	}
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	_ = r.Refresh(t.Context())
	if again, end := r.Age(); !again.Equal(read) || !end.Equal(expires) {
		t.Errorf("after a failure: got %s and %s, want what they were", again, end)
	}
}
