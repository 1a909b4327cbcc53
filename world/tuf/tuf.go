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

// Repository is the files of a repository. Change them to have an unsound one.
type Repository struct {
	// Files are by their path; targets lie below targets/, named by their hash.
	Files map[string][]byte
	// Root is the root.json to begin with.
	Root []byte
}

// New makes the repository of the targets.
func New(expires Expires, targets ...Target) (*Repository, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return nil, err
	}
	root := metadata.Root(expires(metadata.ROOT))
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if err := root.Signed.AddKey(key, role); err != nil {
			return nil, err
		}
	}
	r := &Repository{Files: map[string][]byte{}}
	role := metadata.Targets(expires(metadata.TARGETS))
	for _, target := range targets {
		file, err := metadata.TargetFile().FromBytes(target.Name, target.Content, "sha256")
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", target.Name, err)
		}
		if target.Custom != "" {
			custom := json.RawMessage(target.Custom)
			file.Custom = &custom
		}
		role.Signed.Targets[target.Name] = file
		r.Files["targets/"+file.Hashes["sha256"].String()+"."+target.Name] = target.Content
	}
	if err := signed(r, signer, "1.root.json", root); err != nil {
		return nil, err
	}
	r.Root = r.Files["1.root.json"]
	if err := signed(r, signer, "1.targets.json", role); err != nil {
		return nil, err
	}
	if err := signed(r, signer, "1.snapshot.json", metadata.Snapshot(expires(metadata.SNAPSHOT))); err != nil {
		return nil, err
	}
	return r, signed(r, signer, "timestamp.json", metadata.Timestamp(expires(metadata.TIMESTAMP)))
}

func signed[R metadata.Roles](r *Repository, signer signature.Signer, name string, role *metadata.Metadata[R]) (err error) {
	if _, err := role.Sign(signer); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Files[name], err = role.ToBytes(false)
	return err
}

// Archive is the gzipped tar archive of the repository, below the prefix.
func (r *Repository) Archive(prefix string) ([]byte, error) {
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
		content, ok := r.Files[strings.TrimPrefix(request.URL.Path, "/")]
		if !ok {
			http.NotFound(w, request)
			return
		}
		_, _ = w.Write(content) // a client that is gone misses it
	})
}
