package lint

import (
	"regexp"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// This file looks at the text of CUE and Rego, which it does not evaluate. It
// says nothing about a text that does more than the plainest.

// embedded looks at the policies within a policy.
func (l *linter) embedded() {
	l.text("spec.policy", l.subject.policy.Spec.Policy, "")
	for i, a := range l.subject.policy.Spec.Authorities {
		for j, attestation := range a.Attestations {
			// A statement always has its type.
			l.text(at(at("spec.authorities", i)+".attestations", j)+".policy", attestation.Policy, "predicateType")
		}
	}
}

// text looks at one policy; given is the field that its document always has.
func (l *linter) text(path string, policy *cip.PolicyRef, given string) {
	switch {
	case policy == nil || policy.Data == "":
	case policy.Type == "cue":
		l.cue(path+".data", policy.Data, given)
	case policy.Type == "rego":
		l.rego(path+".data", policy.Data)
	}
}

var (
	cueQuoted  = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`)
	cueComment = regexp.MustCompile(`//[^\n]*`)
	cueImport  = regexp.MustCompile(`(?s)\bimport\s*(\([^)]*\)|"[^"]*")`)
	// cueDemands are what makes an absent field an error, or may: required
	// fields, conditions, comprehensions, and functions that count.
	cueDemands = regexp.MustCompile(`!:|\b(if|for|len|list|struct|close)\b|_\|_`)
	// cueField is one whose value is demanded: a text, a number, a bound or true.
	// What may be false or empty may as a rule be absent too.
	cueField = regexp.MustCompile(`(?:^|[^#A-Za-z0-9_])([A-Za-z_][A-Za-z0-9_]*)\s*:\s*(?:"s"|-?[0-9]|true\b|[<>]|=~|!=)`)
)

// cue finds texts of regular fields only (CUE-1).
func (l *linter) cue(path, text, given string) {
	bare := cueQuoted.ReplaceAllStringFunc(cueImport.ReplaceAllString(text, ""), func(quoted string) string {
		if quoted == `""` {
			return quoted
		}
		return `"s"` // what is in it is no syntax
	})
	bare = cueComment.ReplaceAllString(bare, "")
	if cueDemands.MatchString(bare) {
		return
	}
	for _, field := range cueField.FindAllStringSubmatch(bare, -1) {
		if name := field[1]; name != given && !strings.HasPrefix(name, "_") {
			// A text is a value to CUE, so even the strict reading fills it in.
			l.report(ruleCUE, path, "write "+name+"!: and so all fields that lead to it, and have policies read strictly: it takes both",
				"has regular fields only: a document without %s passes", name)
			return
		}
	}
}

// mostWarnings bounds how often a text is searched for the value of a variable.
const mostWarnings = 20

var (
	regoComment = regexp.MustCompile(`(?m)#.*$`)
	regoAnswer  = regexp.MustCompile(`(?m)^\s*isCompliant\s*(?:\[|contains\b)`)
	// regoWarning is a warning given as a text or as a variable.
	regoWarning = regexp.MustCompile(`"warning"\s*:\s*(?:("[^"\n]*")|([A-Za-z_][A-Za-z0-9_]*))`)
)

// rego finds what the answers of the set form surprise with (REGO-3, REGO-4).
func (l *linter) rego(path, text string) {
	bare := regoComment.ReplaceAllString(text, "")
	if n := len(regoAnswer.FindAllString(bare, -1)); n > 1 {
		l.report(ruleRego, path, "put the conditions into one rule, which gives one answer",
			"has %d rules for isCompliant: the first answer whose result is true admits, whatever the others say", n)
	}
	for _, warning := range regoWarning.FindAllStringSubmatch(bare, mostWarnings) {
		value := warning[1]
		if name := warning[2]; name != "" {
			assigned := regexp.MustCompile(`\b` + name + `\s*:?=\s*("[^"\n]*"|sprintf\()`).FindStringSubmatch(bare)
			if assigned == nil {
				continue
			}
			value = assigned[1]
		}
		if value != `""` {
			l.report(ruleRego, path, `leave "warning" out, or use mode: warn`,
				"gives a warning: an answer that has one counts as failed, even if its result is true")
			return
		}
	}
}
