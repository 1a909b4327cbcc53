package slsa

import (
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// descriptor is a material of v0.2 or a resource descriptor of v1.
type descriptor struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

func materials(list []descriptor) []Material {
	out := make([]Material, len(list))
	for i, d := range list {
		out[i] = Material{Name: d.Name, URI: d.URI, Digest: digests(d.Digest)}
	}
	return out
}

// digests is never null.
func digests(set map[string]string) map[string]string {
	if set == nil {
		return map[string]string{}
	}
	return set
}

// sourceOf takes a source apart, with the digest of the material of the same URI
// where it has none itself.
func sourceOf(uri string, digest map[string]string, from []Material) Source {
	source := Source{URI: uri, Digest: digests(digest)}
	source.Repository, source.Ref = split(uri)
	if len(digest) > 0 || uri == "" {
		return source
	}
	for _, material := range from {
		if material.URI == uri {
			source.Digest = material.Digest
			return source
		}
	}
	return source
}

// split cuts a URI at the first @ of its path. The last would be another one where
// a branch has an @ in its name: whoever may push the branch x@refs/tags/v1 of a
// repository has not built its tag.
func split(uri string) (repository, ref string) {
	uri = strings.TrimPrefix(uri, "git+")
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		scheme, rest = "", uri
	} else {
		scheme += "://"
	}
	host, path, _ := strings.Cut(rest, "/")
	path, ref, ok = strings.Cut(path, "@")
	if !ok {
		return uri, ""
	}
	return scheme + host + "/" + path, ref
}

// reader keeps the first thing that is wrong.
type reader struct{ err error }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) required(path, text string) {
	if text == "" {
		r.fail(bounded.Refuse(bounded.Malformed, path, "got none, want one"))
	}
}

func (r *reader) time(path, text string) string {
	out, err := bounded.Time(path, text)
	if err != nil {
		r.fail(err)
	}
	return out
}

// object wants an object where there is something.
func (r *reader) object(path string, raw bounded.Raw) bounded.Raw {
	if raw.Absent() {
		return nil
	}
	var object map[string]bounded.Raw
	if err := bounded.Decode(raw, &object); err != nil {
		r.fail(bounded.Within(path, err))
	}
	return raw
}
