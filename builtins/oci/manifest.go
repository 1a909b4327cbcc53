package oci

import (
	"encoding/json"
	"maps"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// What we say that we understand. Docker's schema 1 is not among it: nothing runs it any more, and its digest is
// not that of its bytes.
const (
	acceptImage = "application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json"
	acceptIndex = "application/vnd.oci.image.index.v1+json"
	dockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
	acceptAny   = acceptImage + "," + acceptIndex + "," + dockerIndex
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

// document is what is read of a manifest whose kind is not known yet.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	Manifests     []child      `json:"manifests"`
}

// child is one entry of an index.
type child struct {
	descriptor
	Platform *v1.Platform `json:"platform"`
}

// aside reports whether an entry is an attestation as BuildKit lists it: it says so, and no platform would run it.
func (c child) aside() bool {
	return c.Annotations["vnd.docker.reference.type"] == "attestation-manifest" &&
		c.Platform != nil && c.Platform.OS == "unknown" && c.Platform.Architecture == "unknown"
}

func descriptors(children []child) []descriptor {
	out := make([]descriptor, len(children))
	for i, c := range children {
		out[i] = c.descriptor
	}
	return out
}

// kind is what a manifest turned out to be.
type kind int

const (
	unknownKind kind = iota
	imageManifest
	anIndex
)

// kind goes by the media type in the manifest, which its digest covers, and by its form where it names none: the
// header of an answer is nobody's word. What has the parts of both is neither.
func (d document) kind() kind {
	image, index := d.Config != nil || len(d.Layers) > 0, len(d.Manifests) > 0
	switch {
	case image && index:
		return unknownKind
	case d.Config != nil && (d.MediaType == "" || strings.Contains(","+acceptImage+",", ","+d.MediaType+",")):
		return imageManifest
	case !image && (d.MediaType == acceptIndex || d.MediaType == dockerIndex || d.MediaType == "" && index):
		return anIndex
	}
	return unknownKind
}

func parseDocument(what string, b []byte) (document, error) {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return d, &Error{Code: Malformed, Message: what + ": got an answer that is not a manifest", Err: err}
	}
	return d, nil
}
