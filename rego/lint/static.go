package lint

import (
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// mostPairs bounds how many pairs of globs are held against each other for one
// question.
const mostPairs = 10_000

// statics looks at policies that admit without looking at a signature. One with
// a policy over spec or config is another thing: the static pass carries it.
func (l *linter) statics() {
	spec := &l.subject.policy.Spec
	pass := staticPass(spec)
	if pass < 0 || spec.Policy != nil {
		return
	}
	path := at("spec.authorities", pass) + ".static"
	if len(spec.Authorities) > 1 {
		l.report(ruleStaticBeside, path, "put it into a policy of its own, for the images that it is meant for",
			"always passes, and one authority suffices: the others are never needed")
	}
	for i, image := range spec.Images {
		hostPart, _, _ := strings.Cut(image.Glob, "/")
		if image.Glob != "*" && image.Glob != "*/*" && strings.Contains(hostPart, "*") {
			l.report(ruleStaticWide, at("spec.images", i)+".glob", "write the registries, as in registry.example/**",
				"%s lets images of any registry pass without a signature", image.Glob)
		}
	}
	l.exemption(path)
}

// staticPass returns the index of an authority that always passes, or -1.
func staticPass(spec *cip.Spec) int {
	return slices.IndexFunc(spec.Authorities, func(a cip.Authority) bool {
		return a.Static != nil && a.Static.Action == "pass"
	})
}

// exemption finds policies that the subject seems to make an exception of
// (COMB-3). One that is narrower than the subject is not: to admit everything
// and to ask more of some is a policy.
func (l *linter) exemption(path string) {
	var others []string
	for _, other := range l.all {
		spec := &other.policy.Spec
		if other.policy == l.subject.policy || other.policy.Namespace != l.subject.policy.Namespace || staticPass(spec) >= 0 {
			continue
		}
		if sameObjects(&l.subject.policy.Spec, spec) && l.exempts(l.subject, other) {
			others = append(others, other.policy.Name)
		}
	}
	if len(others) > 0 {
		l.report(ruleExemption, path, "write in "+list(others)+" the paths that are meant, for a glob cannot leave some out",
			"exempts from nothing: the images have to satisfy %s as well", list(others))
	}
}

// sameObjects says whether one object may be a matter of both.
func sameObjects(a, b *cip.Spec) bool {
	if len(a.Match) == 0 || len(b.Match) == 0 {
		return true
	}
	return slices.ContainsFunc(a.Match, func(m cip.Match) bool {
		return slices.ContainsFunc(b.Match, func(n cip.Match) bool {
			return m.Resource == n.Resource && m.Group == n.Group &&
				(m.Version == n.Version || m.Version == "*" || n.Version == "*")
		})
	})
}

// exempts says whether some glob of the static policy is no wider than one of
// the other, by what it begins with, and has an image in common with it.
func (l *linter) exempts(static, other subject) bool {
	return len(static.globs)*len(other.globs) <= mostPairs && anyPair(static, other, func(a, b cip.Glob) bool {
		return len(a.Prefix()) >= len(b.Prefix()) && l.pairs.meet(a, b) == reachable
	})
}

// mayOverlap says whether the policies may have an image in common.
func (l *linter) mayOverlap(a, b subject) bool {
	return len(a.globs)*len(b.globs) > mostPairs || anyPair(a, b, func(a, b cip.Glob) bool {
		return l.pairs.meet(a, b) != unreachable
	})
}

func anyPair(a, b subject, holds func(a, b cip.Glob) bool) bool {
	return slices.ContainsFunc(a.globs, func(one cip.Glob) bool {
		return slices.ContainsFunc(b.globs, func(other cip.Glob) bool { return holds(one, other) })
	})
}
