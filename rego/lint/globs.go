package lint

import (
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// globs finds globs that match nothing, or more than they say.
func (l *linter) globs() {
	for i, glob := range l.subject.globs {
		image := l.subject.policy.Spec.Images[i]
		path := at("spec.images", i) + ".glob"
		switch _, found := l.single.witness(glob); found {
		case unreachable:
			l.report(ruleUnreachable, path, l.meantFix(image.Glob), "%s matches no image: %s", image.Glob, whyUnreachable(image.Glob))
			continue
		case unknown:
			l.reportAs(Note, ruleUnreachable, path, "use fewer stars, or lint fewer policies at once",
				"whether %s matches any image was not found out in time", image.Glob)
			continue
		}
		if tight, neighbour := l.tighter(glob); tight != "" {
			l.report(ruleTooWide, path, tightFix(tight), "%s also matches %s", image.Glob, neighbour)
		}
	}
}

// globsOf requires the spec of a parsed policy, of which all globs parse.
func globsOf(spec *cip.Spec) []cip.Glob {
	out := make([]cip.Glob, len(spec.Images))
	for i, image := range spec.Images {
		out[i], _ = cip.ParseGlob(image.Glob)
	}
	return out
}

func (l *linter) meantFix(glob string) string {
	if meant := l.meant(glob); meant != "" {
		return "write " + meant
	}
	return "write host/repository@* for one repository, host/path/** for all below a path"
}

// meant returns the reachable glob that an unreachable one was probably meant
// to be, or nothing. Each step undoes one mistake.
func (l *linter) meant(glob string) string {
	candidate := strings.ToLower(glob)
	for _, undo := range []func(string) string{keep, longHub, dropTag, anyDigest, longHost} {
		candidate = undo(candidate)
		if l.single.reaches(candidate) {
			return candidate
		}
	}
	return ""
}

func keep(glob string) string { return glob }

// longHub writes Docker Hub as names do.
func longHub(glob string) string {
	rest, ok := strings.CutPrefix(glob, hubAlias+"/")
	if !ok {
		if rest, ok = strings.CutPrefix(glob, hub+"/"); !ok {
			return glob
		}
	}
	if name := repositoryOf(rest); !strings.Contains(name, "/") && !strings.Contains(name, "*") {
		rest = "library/" + rest
	}
	return hub + "/" + rest
}

// dropTag takes away a tag, which is what follows a ":" in the last part, and a
// digest that is not a whole one.
func dropTag(glob string) string { return repositoryOf(glob) }

// repositoryOf is a glob without tag and digest.
func repositoryOf(glob string) string {
	name, _, _ := strings.Cut(glob, "@")
	last := strings.LastIndexByte(name, '/') + 1
	if i := strings.IndexByte(name[last:], ':'); i >= 0 {
		name = name[:last+i]
	}
	return name
}

// anyDigest lets a glob that ends with its repository go on.
func anyDigest(glob string) string {
	if base := strings.TrimRight(glob, "*"); endsInName(base) {
		return base + "@*"
	}
	return glob + "@*"
}

// longHost puts the host in front of a short name of Docker Hub.
func longHost(glob string) string {
	if strings.Contains(repositoryOf(glob), "/") {
		return hub + "/" + glob
	}
	return hub + "/library/" + glob
}

// whyUnreachable says which mistake it is. Requires an unreachable glob.
func whyUnreachable(glob string) string {
	hostPart, rest, hasHost := strings.Cut(glob, "/")
	name := repositoryOf(glob)
	switch {
	case strings.EqualFold(hostPart, hubAlias) && hasHost:
		return "the host of Docker Hub's images is index.docker.io"
	case strings.EqualFold(hostPart, hub) && !strings.ContainsAny(repositoryOf(rest), "/*"):
		return "the official images of Docker Hub are in library/"
	case strings.ToLower(rest) != rest:
		return "repositories are in lower case"
	case strings.Contains(glob, "@"):
		return "a digest is sha256: and 64 hex digits"
	case name != glob:
		return "names end with a digest, the tag is gone before globs are asked"
	case !hasHost || !strings.ContainsAny(hostPart, ".:*") && hostPart != bareHost:
		return "names begin with a host, and those of Docker Hub with index.docker.io"
	}
	return "names end with a digest, as in host/repository@sha256:…"
}

// tighter returns what a glob that matches neighbours should be, and a name that
// it matches though nobody would think so. Requires a reachable glob.
func (l *linter) tighter(glob cip.Glob) (tight, neighbour string) {
	text := glob.String()
	if host, rest := cutHost(text); rest != "" {
		tight, neighbour = host+rest, host+".evil.example"+anyName(rest)
	} else if base := strings.TrimRight(text, "*"); base != text && endsInName(base) {
		tight, neighbour = base+"@*", anyName(base)+"-evil"
		if rest, floating := strings.CutPrefix(base, "**"); floating && endsInName(rest[:1]) {
			tight, neighbour = "**/"+rest+"@*", "evil.example/"+anyName(rest)+"-evil"
		}
	}
	// What is said of a glob is proven: the neighbour is one.
	if ok, err := glob.Match(neighbour + "@" + algorithm + strings.Repeat("0", hexDigits)); err != nil || !ok || !l.single.reaches(tight) {
		return "", ""
	}
	return tight, neighbour
}

// cutHost cuts a glob whose first star is in its host: before the star there is a
// host as it stands, and after it what the path of images begins with.
func cutHost(glob string) (host, rest string) {
	host, rest, found := strings.Cut(glob, "*")
	if !found || !strings.Contains(host, ".") || strings.ContainsAny(host, "/:@") || !endsInName(host) {
		return "", ""
	}
	switch rest = strings.TrimLeft(rest, "*"); {
	case rest == "":
		return host, "/**"
	case rest[0] != '/':
		return host, "/**" + rest
	}
	return host, rest
}

// anyName is one of the names of a glob.
func anyName(glob string) string { return strings.NewReplacer("**", "app", "*", "app").Replace(glob) }

// endsInName says whether a text ends inside of a name: not after a separator,
// which ends a prefix that is meant as one, as in team-*.
func endsInName(text string) bool {
	if text == "" || strings.ContainsAny(text, "@") {
		return false
	}
	last := strings.ToLower(text)[len(text)-1]
	return isLower(last) || isDigit(last)
}

func tightFix(tight string) string {
	if base, ok := strings.CutSuffix(tight, "@*"); ok {
		return "write " + tight + ", and " + base + "/** for all below it"
	}
	return "write " + tight
}
