// Package manifest reads what an image or an index says of itself: bytes in, values
// out. Nothing in a value is vouched for but its form, and of a descriptor not even
// that before [Descriptor.Check].
package manifest

import (
	"encoding/json"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// The media types that we say that we understand. Docker's schema 1 is not among it: nothing runs it any more, and its digest is
// not that of its bytes.
const (
	AcceptImage = "application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json"
	AcceptIndex = "application/vnd.oci.image.index.v1+json"
	dockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
	AcceptAny   = AcceptImage + "," + AcceptIndex + "," + dockerIndex
)

// Manifest holds what is read of an image manifest or of an index.
type Manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	Layers        []Descriptor `json:"layers"`
	Manifests     []Descriptor `json:"manifests"`
}

// Descriptor names content: what it is, its digest and its size.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations"`
}

// Parse reads a manifest or an index. what names it in messages.
func Parse(what string, b []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return m, &edge.Error{Code: edge.Malformed, Message: what + ": got an answer that is not a manifest", Err: err}
	}
	if m.SchemaVersion != 2 {
		return m, edge.Refuse(edge.Malformed, "%s: got schema version %d, want 2", what, m.SchemaVersion)
	}
	return m, nil
}

// ParseImage reads a manifest that has layers.
func ParseImage(what string, b []byte) (Manifest, error) {
	m, err := Parse(what, b)
	if err == nil && len(m.Manifests) > 0 {
		return m, edge.Refuse(edge.Malformed, "%s: got an index, want an image manifest", what)
	}
	return m, err
}

// ParseIndex reads a manifest that lists others.
func ParseIndex(what string, b []byte) (Manifest, error) {
	m, err := Parse(what, b)
	if err == nil && len(m.Layers) > 0 {
		return m, edge.Refuse(edge.Malformed, "%s: got an image manifest, want an index", what)
	}
	return m, err
}

// Check refuses a descriptor that must not be followed.
func (d Descriptor) Check(what string, most int64) *edge.Error {
	switch {
	case !IsDigest(d.Digest):
		return edge.Refuse(edge.Malformed, "%s: got a descriptor with digest %.80q, want sha256: and 64 hexadecimal digits", what, d.Digest)
	case d.Size < 0:
		return edge.Refuse(edge.Malformed, "%s: got a descriptor of %d bytes, want 0 or more", what, d.Size)
	case d.Size > most:
		return edge.Refuse(edge.TooLarge, "%s: got a descriptor of %d bytes, want at most %d", what, d.Size, most)
	}
	return nil
}

// IsBundle reports whether a media or artifact type is that of a Sigstore bundle of any version:
// application/vnd.dev.sigstore.bundle.v0.3+json, or application/vnd.dev.sigstore.bundle+json;version=0.2.
func IsBundle(mediaType string) bool {
	rest, found := strings.CutPrefix(mediaType, "application/vnd.dev.sigstore.bundle")
	return found && (strings.HasPrefix(rest, "+json") || strings.HasPrefix(rest, ".v"))
}

// MayBeBundle reports whether a referrer has to be looked at: besides bundles that say so, registries and tools that
// know no artifact type list the type of the config instead, which for an artifact is the empty one.
func (d Descriptor) MayBeBundle() bool {
	if d.MediaType != "application/vnd.oci.image.manifest.v1+json" {
		return false
	}
	return IsBundle(d.ArtifactType) || d.ArtifactType == "" || d.ArtifactType == "application/vnd.oci.empty.v1+json"
}

// Document is what is read of a manifest whose kind is not known yet.
type Document struct {
	MediaType string       `json:"mediaType"`
	Config    *Descriptor  `json:"config"`
	Layers    []Descriptor `json:"layers"`
	Manifests []Child      `json:"manifests"`
}

// Child is one entry of an index.
type Child struct {
	Descriptor
	Platform *v1.Platform `json:"platform"`
}

// Aside reports whether an entry is an attestation as BuildKit lists it: it says so, and no platform would run it.
func (c Child) Aside() bool {
	return c.Annotations["vnd.docker.reference.type"] == "attestation-manifest" &&
		c.Platform != nil && c.Platform.OS == "unknown" && c.Platform.Architecture == "unknown"
}

// Descriptors are those of children.
func Descriptors(children []Child) []Descriptor {
	out := make([]Descriptor, len(children))
	for i, c := range children {
		out[i] = c.Descriptor
	}
	return out
}

// Kind is what a manifest turned out to be.
type Kind int

// The kinds.
const (
	Unknown Kind = iota
	AnImage
	AnIndex
)

// Kind goes by the media type in the manifest, which its digest covers, and by its form where it names none: the
// header of an answer is nobody's word. What has the parts of both is neither.
func (d Document) Kind() Kind {
	image, index := d.Config != nil || len(d.Layers) > 0, len(d.Manifests) > 0
	switch {
	case image && index:
		return Unknown
	case d.Config != nil && (d.MediaType == "" || strings.Contains(","+AcceptImage+",", ","+d.MediaType+",")):
		return AnImage
	case !image && (d.MediaType == AcceptIndex || d.MediaType == dockerIndex || d.MediaType == "" && index):
		return AnIndex
	}
	return Unknown
}

// ParseDocument reads a manifest of any kind.
func ParseDocument(what string, b []byte) (Document, error) {
	var d Document
	if err := json.Unmarshal(b, &d); err != nil {
		return d, &edge.Error{Code: edge.Malformed, Message: what + ": got an answer that is not a manifest", Err: err}
	}
	return d, nil
}

// IsDigest reports whether digest is written as OCI writes a SHA-256: sha256: and 64 lower-case hexadecimal digits.
func IsDigest(digest string) bool {
	hex, found := strings.CutPrefix(digest, "sha256:")
	return found && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// IsLayer reports whether the media type is that of a layer of an image: a tar, as it is or compressed, also one that
// is not to be distributed.
func (d Descriptor) IsLayer() bool {
	rest, found := strings.CutPrefix(d.MediaType, "application/vnd.oci.image.layer.")
	if found {
		rest = strings.TrimPrefix(rest, "nondistributable.")
		return rest == "v1.tar" || rest == "v1.tar+gzip" || rest == "v1.tar+zstd"
	}
	rest, found = strings.CutPrefix(d.MediaType, "application/vnd.docker.image.rootfs.")
	rest = strings.TrimPrefix(rest, "foreign.")
	return found && (rest == "diff.tar" || rest == "diff.tar.gzip" || rest == "diff.tar.zstd")
}
