package cip

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// maxGlob bounds a glob: a host (253), a repository (255), a tag (128) and a
// digest (71) with what joins them are shorter together.
const maxGlob = 1024

var globCharacters = regexp.MustCompile(`^[a-zA-Z0-9_:/*.@-]+$`)

// Glob is a pattern of image names. In it "*" stands for any run of characters
// but "/", "**" for any run at all, everything else for itself. Two patterns
// are short for others: "*" for index.docker.io/library/* and "*/*" for
// index.docker.io/*/*. The zero Glob matches nothing.
//
// Hosts have no letter case, and upstream forgets it: GHCR.io/org/app evades
// its ghcr.io/**. Here the host is lower-cased on both sides, and nothing else
// is, because tags do have a case.
type Glob struct {
	source     string
	normalized string
	re         *regexp.Regexp
}

// ParseGlob reads a glob. It does not fail for a glob of a parsed [Policy].
func ParseGlob(glob string) (Glob, error) {
	if len(glob) > maxGlob {
		return Glob{}, fmt.Errorf("got a glob of %d characters, want at most %d", len(glob), maxGlob)
	}
	// Upstream asks filepath.Match first, which only decides the text of the
	// error: all that it refuses is outside the characters below.
	if _, err := path.Match(glob, ""); err != nil {
		return Glob{}, err
	}
	if !globCharacters.MatchString(glob) {
		return Glob{}, fmt.Errorf("invalid glob %q", glob)
	}
	normalized := lowerGlobHost(glob)
	switch glob {
	case "*":
		normalized = "index.docker.io/library/*"
	case "*/*":
		normalized = "index.docker.io/*/*"
	}
	re, err := regexp.Compile(translate(normalized))
	if err != nil {
		return Glob{}, fmt.Errorf("glob %q: %w", glob, err)
	}
	return Glob{source: glob, normalized: normalized, re: re}, nil
}

// translate requires a glob of globCharacters, of which RE2 gives a meaning to
// "." and "*" only.
func translate(glob string) string {
	return "^" + strings.NewReplacer("**", ".*", "*", "[^/]*", ".", `\.`).Replace(glob) + "$"
}

// String returns the glob as it was written.
func (g Glob) String() string { return g.source }

// Normalized returns the glob with its host in lower case, and what "*" and "*/*"
// are short for written out.
func (g Glob) Normalized() string { return g.normalized }

// Regexp returns the glob as an anchored RE2 expression over one of [Names]. Its
// host is in lower case.
func (g Glob) Regexp() string {
	if g.re == nil {
		return `\z.`
	}
	return g.re.String()
}

// Prefix returns what every name starts with that the glob matches: the text up
// to its first "*", with the host in lower case.
func (g Glob) Prefix() string {
	prefix, _, _ := strings.Cut(g.normalized, "*")
	return prefix
}

// Match says whether the glob matches any of the [Names] of the image.
func (g Glob) Match(image string) (bool, error) {
	names, err := Names(image)
	if err != nil || g.re == nil {
		return false, err
	}
	for _, text := range names {
		if g.re.MatchString(text) {
			return true, nil
		}
	}
	return false, nil
}

// Names returns the texts that globs are matched against: the full name of the
// image, as in index.docker.io/library/nginx:latest, and the image as it is
// written where that is another text, as in nginx. The host is in lower case.
func Names(image string) ([]string, error) {
	written := lowerImageHost(image)
	// The host is lower-cased first, or else Docker.io would not be docker.io.
	ref, err := name.ParseReference(written, name.WeakValidation)
	if err != nil {
		return nil, err
	}
	if full := ref.Name(); full != written {
		return []string{full, written}, nil
	}
	return []string{written}, nil
}

// lowerImageHost touches only what ggcr takes for a host.
func lowerImageHost(image string) string {
	host, rest, found := strings.Cut(image, "/")
	if !found || !strings.ContainsAny(host, ".:") {
		return image
	}
	return strings.ToLower(host) + "/" + rest
}

// lowerGlobHost touches what can only match within a host: all before the first
// "/", or, where there is none or a "**" may run past it, the literal text that
// the glob starts with. A ":" or "@" ends it, for a tag may follow.
func lowerGlobHost(glob string) string {
	host, _, found := strings.Cut(glob, "/")
	if !found || strings.Contains(host, "**") {
		host, _, _ = strings.Cut(host, "*")
	}
	if end := strings.IndexAny(host, ":@"); end >= 0 {
		host = host[:end]
	}
	return strings.ToLower(host) + glob[len(host):]
}
