package world

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Sign signs what somebody pushed to a registry of the world: registry/repository@sha256:….
// It is signed as an image of the description is. A legacy signature takes the place of
// those that are there.
func (w *World) Sign(ref string, signature Signature) error {
	repository, digest, pinned := strings.Cut(ref, "@")
	registry, path, found := strings.Cut(repository, "/")
	content := w.host.registries[registry]
	if !pinned || !found || content == nil {
		return fmt.Errorf("world: got %q, want registry/repository@sha256:… of a registry of the world", ref)
	}
	w.signing.Lock()
	defer w.signing.Unlock()
	if _, ok := w.mint.description.Signers[signature.Signer]; !ok {
		return fmt.Errorf("world: got signer %q, want one of %s", signature.Signer, sortedNames(w.mint.description.Signers))
	}
	s := &shelf{registry: content, repository: path}
	subject, err := s.describe(digest)
	if err != nil {
		return fmt.Errorf("world: %s: %w", ref, err)
	}
	all, err := w.mint.evidence(Image{Signatures: []Signature{signature}}, repository, subject)
	if err != nil {
		return fmt.Errorf("world: %s: %w", ref, err)
	}
	if err := s.pushLegacy("", subject, all); err != nil {
		return fmt.Errorf("world: %s: %w", ref, err)
	}
	return s.pushBundles(subject, all, w.clock, w.mint.description.Referrers)
}

// describe reads a manifest that is there.
func (s *shelf) describe(digest string) (descriptor, error) {
	content, err := s.get("manifests/" + digest)
	if err != nil {
		return descriptor{}, err
	}
	var m manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: string(m.MediaType), Digest: digestOf(content), Size: len(content), content: content}, nil
}
