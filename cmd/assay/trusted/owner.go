package trusted

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// Nobody knows what all strangers are called. So an expression has to say by its syntax whose the
// values are that it matches: there is a literal text that each of them begins with, which goes as
// far as the owner and the slash behind it, or ends with, which is a domain of addresses. Of
// alternatives each has to. What the expression says between, of names and branches, is the owner's.

// ownerForm is an owner at the beginning: a host and what is registered there, or a trust domain.
var ownerForm = regexp.MustCompile(`\A(?:[a-z][a-z0-9+.-]*://([A-Za-z0-9.-]+)(?::[0-9]+)?/[^/@?#]+/|spiffe://[a-z0-9._-]+/)`)

// domainForm is a domain of addresses, or of Sigstore's user names, at the end.
var domainForm = regexp.MustCompile(`[@!][A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\z`)

// deeper says how many parts of a path are an owner, of hosts where the first is nobody's.
func deeper(host string) int {
	switch host {
	case "kubernetes.io": // namespaces/NAMESPACE/serviceaccounts/NAME
		return 2
	case "circleci.com": // api/v2/projects/ID/pipeline-definitions/ID
		return 4
	}
	return 1
}

// edge is a text that values begin or end with, and all of them where it is not open.
type edge struct {
	text string
	open bool
}

// mostEdges is above any list that a person writes.
const mostEdges = 256

// owned says whether an expression says whose all values are that it matches.
func owned(expression string) bool {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	return err == nil && ownedBy(parsed.Simplify())
}

func ownedBy(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCapture:
		return ownedBy(re.Sub[0])
	case syntax.OpAlternate:
		for _, branch := range re.Sub {
			if !ownedBy(branch) {
				return false
			}
		}
		return true
	case syntax.OpConcat:
		// What the parser takes out of alternatives that begin alike, as with ^.
		if rest := withoutWidth(re.Sub); len(rest) == 1 {
			return ownedBy(rest[0])
		}
	}
	return all(edges(re, false), func(e edge) bool { return !e.open || begins(e.text) }) ||
		all(edges(re, true), func(e edge) bool { return !e.open || ends(re, e.text) })
}

// begins says whether a text goes as far as an owner.
func begins(text string) bool {
	found := ownerForm.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	_, path, _ := strings.Cut(text, "://")
	parts := strings.Split(path, "/") // the host is the first, and what is not complete the last
	return found[1] == "" || len(parts)-2 >= deeper(strings.ToLower(found[1]))
}

// ends says whether a text ends with a domain, and is not the end of the branch of a stranger: a branch
// may be called like an address. So what stands before the domain has neither a slash nor an @, as
// what names a workflow has. The sample says so another way.
func ends(re *syntax.Regexp, text string) bool {
	domain := domainForm.FindString(text)
	return domain != "" && separators(re) <= strings.Count(domain, "@") &&
		admits(re.String(), []string{"https://github.com/stranger/stranger/.github/workflows/stranger.yml@refs/heads/stranger" + text}) == ""
}

// many is more than any value has that somebody writes.
const many = 1 << 10

// separators is how many slashes and @ a value may have at the most, and many where that is open.
func separators(re *syntax.Regexp) (most int) {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return 0
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if r == '/' || r == '@' {
				most++
			}
		}
		return most
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i] <= '/' && '/' <= re.Rune[i+1] || re.Rune[i] <= '@' && '@' <= re.Rune[i+1] {
				return 1
			}
		}
		return 0
	case syntax.OpAlternate, syntax.OpCapture, syntax.OpQuest:
		for _, sub := range re.Sub {
			most = max(most, separators(sub))
		}
		return most
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			most = min(most+separators(sub), many)
		}
		return most
	case syntax.OpStar, syntax.OpPlus:
		if separators(re.Sub[0]) == 0 {
			return 0
		}
	}
	return many // of any character, too
}

// listed says whether an expression matches some values, and each is written out.
func listed(expression string) bool {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	return err == nil && all(edges(parsed.Simplify(), false), func(e edge) bool { return !e.open })
}

// edges are the texts that values begin with, or end with where it is backwards. It reads an
// expression as one that matches more, never less: what it says of all values is so.
func edges(re *syntax.Regexp, backwards bool) []edge {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []edge{{}}
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []edge{{text: string(re.Rune)}}
		}
	case syntax.OpCharClass:
		return runes(re.Rune)
	case syntax.OpCapture:
		return edges(re.Sub[0], backwards)
	case syntax.OpQuest:
		return append(edges(re.Sub[0], backwards), edge{})
	case syntax.OpPlus:
		return opened(edges(re.Sub[0], backwards))
	case syntax.OpAlternate:
		var out []edge
		for _, branch := range re.Sub {
			if out = append(out, edges(branch, backwards)...); len(out) > mostEdges {
				return []edge{{open: true}}
			}
		}
		return out
	case syntax.OpConcat:
		return joined(re.Sub, backwards)
	}
	return []edge{{open: true}}
}

func joined(parts []*syntax.Regexp, backwards bool) []edge {
	out := []edge{{}}
	for i := range parts {
		part := parts[i]
		if backwards {
			part = parts[len(parts)-1-i]
		}
		var next []edge
		found := edges(part, backwards)
		for _, e := range out {
			if e.open {
				next = append(next, e)
				continue
			}
			for _, more := range found {
				if backwards {
					more.text += e.text
				} else {
					more.text = e.text + more.text
				}
				next = append(next, more)
			}
			if len(next) > mostEdges {
				return opened(out)
			}
		}
		out = next
	}
	return out
}

// runes are those of a class, if they are few.
func runes(ranges []rune) (out []edge) {
	for i := 0; i+1 < len(ranges); i += 2 {
		if int(ranges[i+1]-ranges[i]) > mostEdges-len(out) {
			return []edge{{open: true}}
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			out = append(out, edge{text: string(r)})
		}
	}
	return out
}

func opened(of []edge) []edge {
	out := make([]edge, len(of))
	for i, e := range of {
		out[i] = edge{e.text, true}
	}
	return out
}

func withoutWidth(of []*syntax.Regexp) (out []*syntax.Regexp) {
	for _, re := range of {
		switch re.Op {
		case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		default:
			out = append(out, re)
		}
	}
	return out
}

// all is false of none: an expression that matches nothing says nobody.
func all(of []edge, is func(edge) bool) bool {
	for _, e := range of {
		if !is(e) {
			return false
		}
	}
	return len(of) > 0
}
