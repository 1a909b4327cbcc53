package vuln

import (
	"strconv"
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// rule is what is kept of a rule of SARIF: little, because every result may refer
// to the same one.
type rule struct {
	id       string
	text     []line
	severity string
	score    *float64
	purl     string
}

func (r sarifRule) read(path string) (rule, error) {
	out := rule{id: r.ID, text: lines(r.Help.Text)}
	out.severity = severityIn(out.text)
	for _, tag := range r.Properties.Tags {
		if word, err := severity("", tag); err == nil {
			out.severity = worse(out.severity, word)
		}
	}
	if len(r.Properties.PURLs) > 0 {
		out.purl = r.Properties.PURLs[0]
	}
	text := scalar(r.Properties.Severity)
	if text == "" {
		return out, nil
	}
	score, err := strconv.ParseFloat(text, 64)
	if err != nil || !(score >= 0 && score <= 10) {
		return rule{}, bounded.Refuse(bounded.Malformed, path+".properties.security-severity", "got %s, want a number from 0 to 10", bounded.Quoted(text))
	}
	out.score = higher(nil, score)
	out.severity = worse(out.severity, severityOf(score))
	return out, nil
}

// worse is what two rules with one ID come to, which SARIF does not forbid.
// A result that gives the ID may mean either.
func (r rule) worse(other rule) rule {
	r.severity = worse(r.severity, other.severity)
	if other.score != nil {
		r.score = higher(r.score, *other.score)
	}
	if first(r.text, fixedVersion()...) == "" && first(other.text, fixedVersion()...) != "" {
		r.text, r.purl = other.text, other.purl
	}
	return r
}

// fixedVersion are the keys of lines that name one.
func fixedVersion() []string { return []string{"Fixed Version", "Fix Version"} }

// rules are those of a run.
type rules struct {
	driver []rule
	byID   map[string]rule
}

// of is the rule of a result, with the ID that the result gives where it has one:
// section 3.27.5 ff. A rule that is not described is one with an ID only.
func (k rules) of(path string, result sarifResult) (rule, error) {
	id, index := result.RuleID, result.RuleIndex
	if id == "" {
		id = result.Rule.ID
	}
	if index == nil {
		index = result.Rule.Index
	}
	found, ok := k.byID[id]
	if index != nil && *index != -1 && !ok && result.Rule.Component.Absent() {
		if *index < 0 || *index >= len(k.driver) {
			return rule{}, bounded.Refuse(bounded.Malformed, path+".ruleIndex", "got %d, want one of %d rules", *index, len(k.driver))
		}
		found, ok = k.driver[*index], true
	}
	if id != "" {
		found.id = id
	}
	if !ok {
		found.severity = severityUnknown
	}
	return found, nil
}

// line is "key: value".
type line struct{ key, value string }

// Scanners write at most eight such lines, before anything else. A version is
// shorter than a line may be.
const (
	maxLines = 16
	maxLine  = 1024
)

func lines(text string) []line {
	var out []line
	n := 0
	for l := range strings.SplitSeq(text, "\n") {
		if n++; n > maxLines {
			break
		}
		key, value, ok := strings.Cut(l[:min(len(l), maxLine)], ":")
		if ok {
			out = append(out, line{key, strings.TrimSpace(value)})
		}
	}
	return out
}

// first is the first value of any of the keys.
func first(text []line, keys ...string) string {
	for _, key := range keys {
		for _, l := range text {
			if l.key == key && l.value != "" {
				return l.value
			}
		}
	}
	return ""
}

// severityIn is the worst that any line says: a name with a line break in it cannot
// talk its severity down.
func severityIn(text []line) string {
	out := severityUnknown
	for _, l := range text {
		if l.key == "Severity" {
			if word, err := severity("", l.value); err == nil {
				out = worse(out, word)
			}
		}
	}
	return out
}
