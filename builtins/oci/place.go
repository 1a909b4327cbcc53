package oci

import (
	"strings"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// Place is where evidence about an image is kept, if not beside it. The zero value is beside the image, in its own
// repository; [ParsePlace] makes the others.
type Place struct {
	registry, repository string // both empty for the image's own
	tagPrefix            string
}

// ParsePlace reads a repository and a prefix of tags; either may be empty. The repository is read as cosign reads
// COSIGN_REPOSITORY: what looks like a registry alone is a repository of Docker Hub, index.docker.io/library/ghcr.io.
func ParsePlace(repository, tagPrefix string) (Place, error) {
	p := Place{tagPrefix: tagPrefix}
	if len(tagPrefix) > maxPrefix || !isTagStart(tagPrefix) {
		return Place{}, edge.Refuse(Malformed, "tag prefix: got %.80q, want the beginning of a tag, at most %d bytes", tagPrefix, maxPrefix)
	}
	if repository == "" {
		return p, nil
	}
	// A digest makes every kind of reference a repository, or what it must not have shows.
	r, err := Parse(repository + "@sha256:" + strings.Repeat("0", 64))
	if err != nil {
		return Place{}, edge.Refuse(Malformed, "repository %.300q: %s", repository, edge.AsError("reference", err).Message)
	}
	if r.Tag != "" {
		return Place{}, edge.Refuse(Malformed, "repository %.300q: got a tag or a port without a repository", repository)
	}
	p.registry, p.repository = r.Registry, r.Repository
	return p, nil
}

// maxPrefix leaves room in a tag, which has 128 bytes, for sha256-<hex>.sig.
const maxPrefix = 128 - len("sha256-") - 64 - len(".sig")

// isTagStart reports whether a tag may begin with text.
func isTagStart(text string) bool {
	const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	return strings.Trim(text, word+".-") == "" && (text == "" || strings.ContainsAny(text[:1], word))
}

// Registry is the host that is asked for evidence about image.
func (p Place) Registry(image Reference) string { return p.of(image).Registry }

// String names the place; it is empty for the zero value.
func (p Place) String() string {
	if p == (Place{}) {
		return ""
	}
	return p.registry + "/" + p.repository + ":" + p.tagPrefix
}

// of is the digest of image in the repository of the place.
func (p Place) of(image Reference) Reference {
	if p.repository == "" {
		return image
	}
	r := Reference{Registry: p.registry, Repository: p.repository, Digest: image.Digest}
	r.Name = r.at(r.Digest)
	return r
}
