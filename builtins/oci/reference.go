package oci

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// maxReference bounds what is parsed: a host of 255 characters, a repository of 255, a tag of 128 and a digest of
// 71, with their separators, are 713.
const maxReference = 1024

// Reference is what an image reference means, after defaults.
type Reference struct {
	Registry   string // host and port, lower-cased; index.docker.io where none was written
	Repository string // library/… where Docker Hub implies it
	Tag        string // "latest" where neither tag nor digest was written; as written, or empty, beside a digest
	Digest     string // sha256:… or empty
	Name       string // Registry/Repository@Digest, or Registry/Repository:Tag where there is no digest
}

// Parse reads an image reference by the rules of policy-controller, with three differences that only refuse or
// unify: the host is lower-cased (DNS does not care, a glob does), the digest must be a SHA-256, and a host or path
// that a server could normalise into another one (a trailing dot, "//", "..") is refused.
func Parse(ref string) (Reference, error) {
	if len(ref) > maxReference {
		return Reference{}, refuse(Malformed, "reference: got %d bytes, want at most %d", len(ref), maxReference)
	}
	if strings.ContainsFunc(ref, func(c rune) bool { return c <= ' ' || c > '~' }) {
		// Some letters outside ASCII become ASCII when lower-cased.
		return Reference{}, refuse(Malformed, "reference %q: got a character that is not printable ASCII", ref)
	}
	named, digest, pinned := strings.Cut(ref, "@")
	if pinned && !isSHA256(digest) {
		return Reference{}, refuse(Malformed, "reference %q: got digest %.100q, want sha256: and 64 hexadecimal digits", ref, digest)
	}
	tag, err := name.NewTag(lowerHost(named), name.WeakValidation)
	if err != nil {
		return Reference{}, &Error{Code: Malformed, Message: "reference " + brief(err), Err: err}
	}
	r := Reference{Registry: tag.RegistryStr(), Repository: tag.RepositoryStr(), Tag: tag.TagStr(), Digest: digest}
	if !plainHost(r.Registry) || !plainPath(r.Repository) {
		return Reference{}, refuse(Malformed, "reference %q: got an ambiguous host or path", ref)
	}
	r.Name = r.at(r.Tag)
	if pinned {
		r.Name = r.at(digest)
		if !strings.HasSuffix(named, ":"+r.Tag) {
			r.Tag = ""
		}
	}
	return r, nil
}

// at names a tag or a digest in the repository of r.
func (r Reference) at(identifier string) string {
	separator := ":"
	if strings.HasPrefix(identifier, "sha256:") {
		separator = "@"
	}
	return r.Registry + "/" + r.Repository + separator + identifier
}

// repository is r for ggcr. Requires r to come from Parse.
func (r Reference) repository() (name.Repository, error) {
	return name.NewRepository(r.Registry+"/"+r.Repository, name.WeakValidation)
}

// lowerHost lower-cases what the rules of Docker take for a host: the part before the first slash, where it has a
// dot or a colon. Everything else of a reference is case-sensitive.
func lowerHost(ref string) string {
	host, path, found := strings.Cut(ref, "/")
	if !found || !strings.ContainsAny(host, ".:") {
		return ref
	}
	return strings.ToLower(host) + "/" + path
}

// plainHost refuses hosts of which several spellings name one machine, by empty labels and the trailing dot. What remains of the syntax is checked by ggcr.
func plainHost(host string) bool {
	if strings.HasPrefix(host, "[") {
		return !strings.Contains(host, "%")
	}
	labels, _, _ := strings.Cut(host, ":")
	for label := range strings.SplitSeq(labels, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// plainPath refuses paths that a server could clean into another repository's.
func plainPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// isSHA256 reports whether digest is written as OCI writes a SHA-256: sha256: and 64 lower-case hexadecimal digits.
func isSHA256(digest string) bool {
	hex, found := strings.CutPrefix(digest, "sha256:")
	return found && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}
