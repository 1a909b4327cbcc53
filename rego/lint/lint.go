// Package lint finds ClusterImagePolicies that do not do what they seem to do.
//
// All that it speaks of is valid: [cip.Parse] has accepted it, and
// policy-controller takes it in silence. [Run] reads the policies as values and
// answers with findings, each of which names its rule, the field, why it matters
// and what to write instead. [Rules] lists the rules.
//
// It proves what it says where it can (a glob is unreachable when no name of an
// image exists that it matches), and stays silent where it cannot tell. It opens
// no file, evaluates no CUE and no Rego, and decides about no image.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/strict"
)

// ignoreAnnotation of a policy names rules, with commas between them, that are
// not to be applied to it.
const ignoreAnnotation = "assay.dev/lint-ignore"

// Severity says how sure and how bad it is.
type Severity string

// The severities, worst first.
const (
	// Error is what cannot be meant: it has no effect, or admits everybody.
	Error Severity = "error"
	// Warning is what is probably not meant.
	Warning Severity = "warning"
	// Note is what may be meant, and surprises.
	Note Severity = "note"
)

// Finding is one thing to change, or to know.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	// Line counts from 1.
	Line int `json:"line"`
	// Policy is the name of the resource, or of a policy in Rego.
	Policy string `json:"policy"`
	// Path is that of the field, as in spec.images[0].glob.
	Path    string `json:"path"`
	Message string `json:"message"`
	// Fix says what to write.
	Fix string `json:"fix"`
}

// File is one stream of resources.
type File struct {
	Name      string
	documents *cip.Documents
	places    strict.Places
}

// Parse reads the resources of a file. It fails where [cip.Parse] does.
func Parse(name string, data []byte) (File, error) {
	documents, err := cip.Parse(data)
	if err != nil {
		return File{}, err
	}
	return File{Name: name, documents: documents, places: strict.Locate(data)}, nil
}

// Run applies all rules to the policies of the files, which are taken for the
// whole of an installation. The findings are in order of file, line and rule.
func Run(files []File) []Finding {
	l := &linter{}
	for i := range files {
		for j := range files[i].documents.Policies {
			policy := &files[i].documents.Policies[j]
			l.all = append(l.all, subject{file: &files[i], policy: policy, globs: globsOf(&policy.Spec)})
		}
	}
	for _, s := range l.all {
		l.subject = s
		l.ignores()
		l.globs()
		l.identities()
		l.evidence()
		l.names()
		l.matches()
		l.statics()
		l.embedded()
	}
	l.resources(files)
	l.trustRoots(files)
	l.references(files)
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			strings.Compare(a.Path, b.Path), strings.Compare(a.Rule, b.Rule),
		)
	})
	return l.findings
}

// RegoFails is the finding about a policy in plain Rego that does not compile.
func RegoFails(policy, file string, line int, message string) Finding {
	return Finding{
		Rule: ruleRaw, Severity: severityOf(ruleRaw), File: file, Line: line, Policy: policy, Path: "deny",
		Message: message, Fix: "mend it, or leave it out: until then everything is denied",
	}
}

// RegoUnasked is the finding about a rule of a package that is no policy, and that no
// policy imports.
func RegoUnasked(pkg, rule, file string, line int) Finding {
	return Finding{
		Rule: ruleUnasked, Severity: severityOf(ruleUnasked), File: file, Line: line, Policy: pkg, Path: rule,
		Message: fmt.Sprintf("package %s is no policy, and no policy imports it: nobody asks its %s", pkg, rule),
		Fix:     "write package policies.NAME, or import it in a policy",
	}
}

// subject is a policy, the file that it is in, and its globs.
type subject struct {
	file   *File
	policy *cip.Policy
	globs  []cip.Glob
}

// linter collects the findings of one run.
type linter struct {
	// single searches for single globs, pairs for two: many pairs must not leave
	// single globs without an answer.
	single, pairs prover
	all           []subject
	findings      []Finding
	// subject is the policy that is being looked at.
	subject subject
}

// report adds a finding about a field of the subject.
func (l *linter) report(id, path, fix, message string, args ...any) {
	l.reportAs(severityOf(id), id, path, fix, message, args...)
}

func (l *linter) reportAs(severity Severity, id, path, fix, message string, args ...any) {
	s := l.subject
	if slices.Contains(ignored(s.policy), id) && id != ruleIgnore {
		return
	}
	l.findings = append(l.findings, Finding{
		Rule: id, Severity: severity, File: s.file.Name, Policy: s.policy.Name, Path: path,
		Line:    s.file.places.Line(s.policy.Kind(), strings.TrimPrefix(s.policy.Name, s.policy.Namespace+"/"), path),
		Message: fmt.Sprintf(message, args...), Fix: fix,
	})
}

// ignored are the rules that a policy is not to be held to.
func ignored(policy *cip.Policy) []string {
	var out []string
	for name := range strings.SplitSeq(policy.Annotations[ignoreAnnotation], ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// ignores holds the annotation itself to the rules that there are: a mistyped
// name silences nothing, and whoever wrote it believes that it does.
func (l *linter) ignores() {
	for _, id := range ignored(l.subject.policy) {
		if _, known := ruleOf(id); !known || id == ruleIgnore {
			l.report(ruleIgnore, "metadata.annotations", "write the id of a rule, as in "+ignoreAnnotation+": "+ruleTooWide,
				"%s names %q, which is no rule that can be ignored", ignoreAnnotation, id)
		}
	}
}

// at appends an index to a path.
func at(path string, index int) string { return fmt.Sprintf("%s[%d]", path, index) }

// list joins words as a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
