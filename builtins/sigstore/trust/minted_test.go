package trust

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/world/sigstore"
)

func clock() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// minted is a TUF repository in memory: one key for every role.
type minted struct {
	files  map[string][]byte
	root   []byte
	signer signature.Signer
	// expires is when roles expire, by name; a year after the clock without.
	expires map[string]time.Time
}

// mint makes a repository of targets; custom is their custom metadata by name.
func mint(t testing.TB, targets map[string][]byte, custom map[string]string, expires map[string]time.Time) *minted {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &minted{files: map[string][]byte{}, expires: expires}
	if m.signer, err = signature.LoadSigner(private, crypto.Hash(0)); err != nil {
		t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	root := metadata.Root(m.end(metadata.ROOT))
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if err := root.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	m.root = put(t, m, "1.root.json", root)
	role := metadata.Targets(m.end(metadata.TARGETS))
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		file, err := metadata.TargetFile().FromBytes(name, targets[name], "sha256")
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := custom[name]; ok {
			raw := json.RawMessage(text)
			file.Custom = &raw
		}
		role.Signed.Targets[name] = file
		m.files["targets/"+file.Hashes["sha256"].String()+"."+name] = targets[name]
	}
	put(t, m, "1.targets.json", role)
	put(t, m, "1.snapshot.json", metadata.Snapshot(m.end(metadata.SNAPSHOT)))
	put(t, m, "timestamp.json", metadata.Timestamp(m.end(metadata.TIMESTAMP)))
	return m
}

func (m *minted) end(role string) time.Time {
	if end, ok := m.expires[role]; ok {
		return end
	}
	return clock().AddDate(1, 0, 0)
}

func put[R metadata.Roles](t testing.TB, m *minted, name string, md *metadata.Metadata[R]) []byte {
	t.Helper()
	if _, err := md.Sign(m.signer); err != nil {
		t.Fatal(err)
	}
	data, err := md.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	m.files[name] = data
	return data
}

// resource is the repository as a TrustRoot has it, below the prefix in the archive.
func (m *minted) resource(t testing.TB, prefix string) cip.Repository {
	t.Helper()
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		entries = append(entries, entry{tar.Header{Name: prefix + name}, m.files[name]})
	}
	return cip.Repository{Root: m.root, MirrorFS: archiveOf(t, entries...), Targets: "targets", TrustedRootTarget: "trusted_root.json"}
}

type entry struct {
	tar.Header
	content []byte
}

// archiveOf is a gzipped tar archive of the entries; sizes are those of the contents.
func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		e.Size, e.Mode = int64(len(e.content)), 0o600
		if err := archive.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// trustedRoot is the trusted_root.json of a new Sigstore in memory.
func trustedRoot(t testing.TB) []byte {
	t.Helper()
	made, err := sigstore.New(clock())
	if err != nil {
		t.Fatal(err)
	}
	data, err := made.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sound(t testing.TB) *minted {
	t.Helper()
	return mint(t, map[string][]byte{"trusted_root.json": trustedRoot(t)}, nil, nil)
}
