package oci

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// What we say that we understand. Docker's schema 1 is not among it: nothing runs it any more, and its digest is
// not that of its bytes.
const (
	acceptImage = "application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json"
	acceptIndex = "application/vnd.oci.image.index.v1+json"
	acceptAny   = acceptImage + "," + acceptIndex + ",application/vnd.docker.distribution.manifest.list.v2+json"
)

// manifest holds what is read of an image manifest or of an index.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	Layers        []descriptor `json:"layers"`
	Manifests     []descriptor `json:"manifests"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
}

func parseManifest(what string, b []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return m, &Error{Code: Malformed, Message: what + ": got an answer that is not a manifest", Err: err}
	}
	if m.SchemaVersion != 2 {
		return m, edge.Refuse(Malformed, "%s: got schema version %d, want 2", what, m.SchemaVersion)
	}
	return m, nil
}

// parseImage reads a manifest that has layers.
func parseImage(what string, b []byte) (manifest, error) {
	m, err := parseManifest(what, b)
	if err == nil && len(m.Manifests) > 0 {
		return m, edge.Refuse(Malformed, "%s: got an index, want an image manifest", what)
	}
	return m, err
}

// parseIndex reads a manifest that lists others.
func parseIndex(what string, b []byte) (manifest, error) {
	m, err := parseManifest(what, b)
	if err == nil && len(m.Layers) > 0 {
		return m, edge.Refuse(Malformed, "%s: got an image manifest, want an index", what)
	}
	return m, err
}

// check refuses a descriptor that must not be followed.
func (d descriptor) check(what string, most int64) *Error {
	switch {
	case !isSHA256(d.Digest):
		return edge.Refuse(Malformed, "%s: got a descriptor with digest %.80q, want sha256: and 64 hexadecimal digits", what, d.Digest)
	case d.Size < 0:
		return edge.Refuse(Malformed, "%s: got a descriptor of %d bytes, want 0 or more", what, d.Size)
	case d.Size > most:
		return edge.Refuse(TooLarge, "%s: got a descriptor of %d bytes, want at most %d", what, d.Size, most)
	}
	return nil
}

// isBundle reports whether a media or artifact type is that of a Sigstore bundle of any version:
// application/vnd.dev.sigstore.bundle.v0.3+json, or application/vnd.dev.sigstore.bundle+json;version=0.2.
func isBundle(mediaType string) bool {
	rest, found := strings.CutPrefix(mediaType, "application/vnd.dev.sigstore.bundle")
	return found && (strings.HasPrefix(rest, "+json") || strings.HasPrefix(rest, ".v"))
}

// mayBeBundle reports whether a referrer has to be looked at: besides bundles that say so, registries and tools that
// know no artifact type list the type of the config instead, which for an artifact is the empty one.
func (d descriptor) mayBeBundle() bool {
	if d.MediaType != "application/vnd.oci.image.manifest.v1+json" {
		return false
	}
	return isBundle(d.ArtifactType) || d.ArtifactType == "" || d.ArtifactType == "application/vnd.oci.empty.v1+json"
}

func (d descriptor) layer(p piece) Layer {
	return Layer{MediaType: d.MediaType, Digest: d.Digest, Annotations: maps.Clone(d.Annotations), Content: p.content, Err: p.err}
}
