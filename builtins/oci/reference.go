package oci

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
)

// maxReference bounds what is parsed: a host of 255 characters, a repository of 255, a tag of 128 and a digest of
// 71, with their separators, are 713.
const maxReference = 1024

// Reference is what an image reference means, after defaults.
type Reference struct {
	Registry   string // host and port in one spelling; index.docker.io where none was written
	Repository string // library/… where Docker Hub implies it
	Tag        string // "latest" where neither tag nor digest was written; as written, or empty, beside a digest
	Digest     string // sha256:… or empty
	Name       string // Registry/Repository@Digest, or Registry/Repository:Tag where there is no digest
}

// Parse reads an image reference by the rules of policy-controller, with differences that only refuse or unify: the
// host is spelled in one way (DNS and servers do not care, a glob does; see canonicalHost), the digest must be a
// SHA-256, and a path that a server could normalise into another one ("//", "..") is refused.
func Parse(ref string) (Reference, error) {
	if len(ref) > maxReference {
		return Reference{}, edge.Refuse(Malformed, "reference: got %d bytes, want at most %d", len(ref), maxReference)
	}
	if strings.ContainsFunc(ref, func(c rune) bool { return c <= ' ' || c > '~' }) {
		// Some letters outside ASCII become ASCII when lower-cased.
		return Reference{}, edge.Refuse(Malformed, "reference %q: got a character that is not printable ASCII", ref)
	}
	named, digest, pinned := strings.Cut(ref, "@")
	if pinned && !manifest.IsDigest(digest) {
		return Reference{}, edge.Refuse(Malformed, "reference %q: got digest %.100q, want sha256: and 64 hexadecimal digits", ref, digest)
	}
	named, ok := oneHost(named)
	if !ok {
		return Reference{}, edge.Refuse(Malformed, "reference %q: got an ambiguous host", ref)
	}
	tag, err := name.NewTag(named, name.WeakValidation)
	if err != nil {
		return Reference{}, &Error{Code: Malformed, Message: "reference " + edge.Brief(err), Err: err}
	}
	r := Reference{Registry: tag.RegistryStr(), Repository: tag.RepositoryStr(), Tag: tag.TagStr(), Digest: digest}
	if !plainPath(r.Repository) {
		return Reference{}, edge.Refuse(Malformed, "reference %q: got an ambiguous path", ref)
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

// repository is r for ggcr, which asks over plain HTTP too where it takes the registry for a near one. Its judgement
// must be ours as well; plain says that the installation lists it for plain HTTP. Requires r to come from Parse.
func (r Reference) repository(plain bool) (name.Repository, error) {
	options := []name.Option{name.WeakValidation}
	if plain {
		options = append(options, name.Insecure)
	}
	repo, err := name.NewRepository(r.Registry+"/"+r.Repository, options...)
	if err == nil && repo.Scheme() != "https" && !plain && !edge.Near(r.Registry) {
		return repo, edge.Refuse(ForbiddenHost, "registry %s: got plain http, want https", r.Registry)
	}
	return repo, err
}

// oneHost spells in one way what the rules of Docker take for a host: the part before the first slash, where it has
// a dot or a colon or is localhost. Everything else of a reference is case-sensitive.
func oneHost(ref string) (string, bool) {
	host, path, found := strings.Cut(ref, "/")
	if !found || host != "localhost" && !strings.ContainsAny(host, ".:") {
		return ref, true
	}
	host, ok := edge.CanonicalHost(host)
	return host + "/" + path, ok
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
