package lint

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// identities looks at the expressions of keyless authorities (KLS-3).
func (l *linter) identities() {
	for i, a := range l.subject.policy.Spec.Authorities {
		if a.Keyless == nil {
			continue
		}
		for j, identity := range a.Keyless.Identities {
			path := at(at("spec.authorities", i)+".keyless.identities", j)
			anyIssuer, anySubject := matchesAll(identity.IssuerRegExp), matchesAll(identity.SubjectRegExp)
			switch {
			case anyIssuer && anySubject:
				l.report(ruleAnyIdentity, path, "write the issuer, and the subject that signs",
					"anybody who can get a certificate satisfies it")
			case anyIssuer:
				l.reportAs(Warning, ruleAnyIdentity, path+".issuerRegExp", "write issuer, as in issuer: https://token.actions.githubusercontent.com",
					"%s matches every issuer: another issuer may vouch for the same subject", identity.IssuerRegExp)
			case anySubject:
				l.report(ruleAnyIdentity, path+".subjectRegExp", "write the subject that signs",
					"%s matches every subject: anybody with an account at the issuer satisfies it", identity.SubjectRegExp)
			}
			if !anyIssuer {
				l.expression(path+".issuerRegExp", identity.IssuerRegExp)
			}
			if !anySubject {
				l.expression(path+".subjectRegExp", identity.SubjectRegExp)
			}
		}
	}
}

// expression looks at one that does not match everything.
func (l *linter) expression(path, expression string) {
	re, err := syntax.Parse(expression, syntax.Perl)
	if expression == "" || err != nil {
		return
	}
	escaped := escapeHost(expression)
	tight := anchored(escaped)
	fix := "write " + tight
	if tight == "" {
		fix = "begin every branch with ^ and end it with $"
	}
	open := openEnds(re, expression)
	if open != "" {
		if strings.HasPrefix(tight, "^.*") {
			fix += ", with what the value begins with instead of .*"
		}
		l.report(ruleUnanchored, path, fix, "%s %s", expression, open)
	}
	if escaped != expression {
		l.report(ruleUnescaped, path, fix, "%s has a host with an unescaped dot, which stands for any character", expression)
	}
}

// openEnds says what is wrong with the ends of an expression, or nothing. An
// expression that ends with .* says that anything may follow.
func openEnds(re *syntax.Regexp, expression string) string {
	begins, ends := isAnchored(re, syntax.OpBeginText), isAnchored(re, syntax.OpEndText) || endsOpen(re)
	mixed := strings.ContainsAny(expression, "^$") && len(branches(expression)) > 1
	switch {
	case begins && ends:
		return ""
	case mixed:
		return "is not anchored in every branch: | binds weaker than ^ and $"
	case !begins && !ends:
		return "matches any part of the value: anything may come before and after"
	case !begins:
		return "may begin anywhere in the value: anything may come before"
	default:
		return "may end anywhere in the value: anything may follow"
	}
}

// isAnchored says whether all that the expression matches begins at the
// beginning of the text (for OpBeginText), or ends at its end.
func isAnchored(re *syntax.Regexp, anchor syntax.Op) bool {
	switch re.Op {
	case anchor:
		return true
	case syntax.OpNoMatch:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return isAnchored(re.Sub[0], anchor)
	case syntax.OpRepeat:
		return re.Min > 0 && isAnchored(re.Sub[0], anchor)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !isAnchored(sub, anchor) })
	case syntax.OpConcat:
		end := re.Sub[0]
		if anchor == syntax.OpEndText {
			end = re.Sub[len(re.Sub)-1]
		}
		return isAnchored(end, anchor)
	}
	return false
}

// endsOpen says whether the expression ends with .* in every branch.
func endsOpen(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpCapture:
		return endsOpen(re.Sub[0])
	case syntax.OpConcat:
		return endsOpen(re.Sub[len(re.Sub)-1])
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool {
			return !endsOpen(sub) && !isAnchored(sub, syntax.OpEndText)
		})
	}
	return false
}

// matchesAll says whether an expression matches whatever is in a certificate.
// It is tried on texts that have nothing in common: none of them is empty, for
// no identity is.
func matchesAll(expression string) bool {
	re, err := regexp.Compile(expression)
	if expression == "" || err != nil {
		return false
	}
	strange := []string{"z", "Q", "7", " ", "~%!", "::/", "https://evil.example/a/b", "mallory@evil.example", strings.Repeat("é", 100)}
	return !slices.ContainsFunc(strange, func(text string) bool { return !re.MatchString(text) })
}

// anchored returns the expression with both ends anchored in every branch, or
// nothing where that takes more than text.
func anchored(expression string) string {
	parts := branches(expression)
	for i, part := range parts {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "^"), `\A`)
		if strings.HasSuffix(part, "$") && !strings.HasSuffix(part, `\$`) {
			part = strings.TrimSuffix(part, "$")
		}
		if part = strings.TrimSuffix(part, `\z`); strings.HasSuffix(part, "/") {
			part += ".*" // the beginning of a URL
		}
		parts[i] = part
	}
	out := "^" + parts[0] + "$"
	if len(parts) > 1 {
		out = "^(?:" + strings.Join(parts, "|") + ")$"
	}
	re, err := syntax.Parse(out, syntax.Perl)
	if err != nil || !isAnchored(re, syntax.OpBeginText) || !isAnchored(re, syntax.OpEndText) {
		return ""
	}
	return out
}

// branches splits an expression at each "|" that is in no group.
func branches(expression string) []string {
	var out []string
	start, depth, class := 0, 0, false
	for i := 0; i < len(expression); i++ {
		switch c := expression[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			out = append(out, expression[start:i])
			start = i + 1
		}
	}
	return append(out, expression[start:])
}

// hostOf finds the host of a URL in an expression.
var hostOf = regexp.MustCompile(`://[^/()|\[\]]*`)

// dot is one between two letters of names that stands for itself in the mind of
// whoever wrote it.
var dot = regexp.MustCompile(`([A-Za-z0-9-])\.([A-Za-z0-9-])`)

// escapeHost returns the expression with the dots of its hosts escaped.
func escapeHost(expression string) string {
	return hostOf.ReplaceAllStringFunc(expression, func(host string) string {
		host = dot.ReplaceAllString(host, `$1\.$2`)
		return dot.ReplaceAllString(host, `$1\.$2`) // of a.b.c the first pass sees one
	})
}
