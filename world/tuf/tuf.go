// Package tuf is a TUF repository in memory, signed by one key of its own, as a
// TrustRoot names one: for tests, the demo and policy authors, as all of world.
//
//	r, err := tuf.New(expires, tuf.Target{Name: "trusted_root.json", Content: root})
//	server := httptest.NewServer(r.Handler()) // spec.remote
//	archive, err := r.Archive("repository/")  // spec.repository.mirrorFS
package tuf

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Target is a file that the repository vouches for.
type Target struct {
	Name    string
	Content []byte
	// Custom is its custom metadata, a JSON object; empty for none.
	Custom string
}

// Expires says when the metadata of a role expires.
type Expires func(role string) time.Time

// At is one time for every role.
func At(end time.Time) Expires { return func(string) time.Time { return end } }

// Repository is the files of a repository. Change them to have an unsound one, while nobody reads
// it. Its methods may be called concurrently.
type Repository struct {
	// Files are by their path; targets lie below targets/, named by their hash.
	Files map[string][]byte
	// Root is the root.json to begin with.
	Root []byte

	mu     sync.RWMutex // held while Files change
	signer signature.Signer
	roots  int64 // versions of the root, and of everything else
	others int64
}

// New makes the repository of the targets.
func New(expires Expires, targets ...Target) (*Repository, error) {
	r := &Repository{Files: map[string][]byte{}}
	if err := r.Rotate(expires); err != nil {
		return nil, err
	}
	r.Root = r.Files["1.root.json"]
	return r, r.Publish(expires, targets...)
}

// Rotate gives the repository another key, in the next version of its root, which the key before
// signs too. What is published next is signed by that one; what was published before is not
// vouched for any more.
func (r *Repository) Rotate(expires Expires) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		return err
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return err
	}
	root := metadata.Root(expires(metadata.ROOT))
	root.Signed.Version = r.roots + 1
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if err := root.Signed.AddKey(key, role); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%d.root.json", r.roots+1)
	if r.signer != nil { // TUF, section 5.3.4: by a threshold of the keys of the version before, too
		if _, err := root.Sign(r.signer); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	r.signer, r.roots = signer, r.roots+1
	return signed(r, name, root)
}

// Publish makes the targets those of the repository: what was there before is not in it any more.
func (r *Repository) Publish(expires Expires, targets ...Target) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others++
	role := metadata.Targets(expires(metadata.TARGETS))
	role.Signed.Version = r.others
	for _, target := range targets {
		file, err := metadata.TargetFile().FromBytes(target.Name, target.Content, "sha256")
		if err != nil {
			return fmt.Errorf("target %s: %w", target.Name, err)
		}
		if target.Custom != "" {
			custom := json.RawMessage(target.Custom)
			file.Custom = &custom
		}
		role.Signed.Targets[target.Name] = file
		r.Files["targets/"+file.Hashes["sha256"].String()+"."+target.Name] = target.Content
	}
	if err := signed(r, fmt.Sprintf("%d.targets.json", r.others), role); err != nil {
		return err
	}
	snapshot := metadata.Snapshot(expires(metadata.SNAPSHOT))
	snapshot.Signed.Version, snapshot.Signed.Meta["targets.json"] = r.others, metadata.MetaFile(r.others)
	if err := signed(r, fmt.Sprintf("%d.snapshot.json", r.others), snapshot); err != nil {
		return err
	}
	timestamp := metadata.Timestamp(expires(metadata.TIMESTAMP))
	timestamp.Signed.Version, timestamp.Signed.Meta["snapshot.json"] = r.others, metadata.MetaFile(r.others)
	return signed(r, "timestamp.json", timestamp)
}

// signed requires the lock.
func signed[R metadata.Roles](r *Repository, name string, role *metadata.Metadata[R]) (err error) {
	if _, err := role.Sign(r.signer); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Files[name], err = role.ToBytes(false)
	return err
}

// Archive is the gzipped tar archive of the repository, below the prefix.
func (r *Repository) Archive(prefix string) ([]byte, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		if err := archive.WriteHeader(&tar.Header{Name: prefix + name, Size: int64(len(r.Files[name])), Mode: 0o600}); err != nil {
			return nil, err
		}
		if _, err := archive.Write(r.Files[name]); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	err := zipped.Close()
	return out.Bytes(), err
}

// Handler serves the repository as a mirror does.
func (r *Repository) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.RLock()
		content, ok := r.Files[strings.TrimPrefix(request.URL.Path, "/")]
		r.mu.RUnlock()
		if !ok {
			http.NotFound(w, request)
			return
		}
		_, _ = w.Write(content) // a client that is gone misses it
	})
}
