package miss

import (
	"cmp"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Identity is what a policy wants of a certificate: each part a value, or else an
// expression that the value matches.
type Identity struct {
	Issuer, IssuerRegExp   string
	Subject, SubjectRegExp string
}

// Wanted are the identities of a policy, made ready to be compared.
type Wanted []wanted

type wanted struct{ issuer, subject part }

// part is one part of an identity: how it reads, what it matches, and with what
// everything begins that it matches.
type part struct {
	reads   string
	matches func(string) bool
	begins  string
}

// Want makes identities ready. The expressions compile, or match nothing.
func Want(identities []Identity) Wanted {
	var out Wanted
	for _, identity := range identities {
		out = append(out, wanted{
			issuer:  partOf(identity.Issuer, identity.IssuerRegExp),
			subject: partOf(identity.Subject, identity.SubjectRegExp),
		})
	}
	return out
}

func partOf(value, expression string) part {
	if expression == "" {
		return part{reads: value, matches: func(got string) bool { return got == value }, begins: value}
	}
	out := part{reads: "one that matches " + expression, matches: func(string) bool { return false }}
	if compiled, err := regexp.Compile(expression); err == nil {
		out.matches, out.begins = compiled.MatchString, beginning(expression)
	}
	return out
}

// beginning is the literal text after the anchor of an expression.
func beginning(expression string) string {
	for _, anchor := range []string{`\A(?:`, "^", `\A`} {
		if rest, ok := strings.CutPrefix(expression, anchor); ok {
			expression = strings.TrimSuffix(rest, `)\z`)
		}
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return ""
	}
	prefix, _ := compiled.LiteralPrefix()
	return prefix
}

// sameIssuer counts for more than any length that subjects have in common.
const sameIssuer = 1 << 20

// Nearest compares the names and the issuer in a certificate with the identity that
// differs least from them: one with an equal issuer before any other, then the one
// whose subject has the longest beginning in common. near is how near that is.
func (w Wanted) Nearest(names []string, issuer string) (differs []Difference, near int) {
	if len(names) == 0 {
		names = []string{""}
	}
	for i, identity := range w {
		for j, name := range names {
			n := min(common(name, identity.subject.begins), sameIssuer/4)
			if identity.subject.matches(name) {
				n = sameIssuer / 2
			}
			if identity.issuer.matches(issuer) {
				n += sameIssuer
			}
			if i == 0 && j == 0 || n > near {
				differs, near = identity.differs(name, issuer), n
			}
		}
	}
	return differs, near
}

func (w wanted) differs(name, issuer string) []Difference {
	var out []Difference
	if !w.issuer.matches(issuer) {
		out = append(out, Differs(Issuer, cmp.Or(issuer, "none"), w.issuer.reads))
	}
	if !w.subject.matches(name) {
		out = append(out, Differs(Subject, cmp.Or(name, "none"), w.subject.reads))
	}
	return out
}

// common is how many bytes of whole characters two texts begin with alike.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return n
}
