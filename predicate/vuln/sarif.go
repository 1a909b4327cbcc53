package vuln

import (
	"regexp"
	"slices"
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// go-sarif knows the same fields. It is not used for reading: a result of {} takes
// 500 bytes of it, all are in memory before any can be refused, and a field that
// nobody asks for refuses the report when it has another type.
//
// SARIF has no fields for packages and fixed versions. Trivy and Grype write them as
// lines of text, "Fixed Version: 1.2"; that is where they are read from.

// sarif is what is read of https://docs.oasis-open.org/sarif/sarif/v2.1.0/.
type sarif struct {
	Version string      `json:"version"`
	Runs    bounded.Raw `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver     sarifComponent   `json:"driver"`
		Extensions []sarifComponent `json:"extensions"`
	} `json:"tool"`
	Invocations []struct {
		Successful *bool  `json:"executionSuccessful"`
		Started    string `json:"startTimeUtc"`
		Ended      string `json:"endTimeUtc"`
	} `json:"invocations"`
	Results bounded.Raw `json:"results"`
}

type sarifComponent struct {
	Name            string      `json:"name"`
	Version         string      `json:"version"`
	SemanticVersion string      `json:"semanticVersion"`
	URI             string      `json:"informationUri"`
	Rules           bounded.Raw `json:"rules"`
}

type sarifRule struct {
	ID   string `json:"id"`
	Help struct {
		Text string `json:"text"`
	} `json:"help"`
	Properties struct {
		Severity bounded.Raw `json:"security-severity"`
		Tags     []string    `json:"tags"`
		PURLs    []string    `json:"purls"`
	} `json:"properties"`
}

type sarifResult struct {
	RuleID    string `json:"ruleId"`
	RuleIndex *int   `json:"ruleIndex"`
	Rule      struct {
		ID        string      `json:"id"`
		Index     *int        `json:"index"`
		Component bounded.Raw `json:"toolComponent"`
	} `json:"rule"`
	Kind     string `json:"kind"`
	Baseline string `json:"baselineState"`
	Message  struct {
		Text string `json:"text"`
	} `json:"message"`
	Suppressions []struct {
		Kind   string `json:"kind"`
		Status string `json:"status"`
	} `json:"suppressions"`
}

func readSARIF(data []byte) (Report, error) {
	var in sarif
	if err := bounded.Decode(data, &in); err != nil {
		return Report{}, err
	}
	if in.Version != "2.1.0" {
		return Report{}, bounded.Refuse(bounded.Unsupported, "version", "got %s, want 2.1.0", bounded.Quoted(in.Version))
	}
	report := Report{Format: "sarif", Findings: []Finding{}}
	runs := 0
	err := bounded.Each("runs", in.Runs, func(path string, run sarifRun) error {
		if runs++; runs == 1 {
			driver := run.Tool.Driver
			report.Scanner = Scanner{Name: driver.Name, Version: driver.Version, URI: driver.URI}
			if driver.Version == "" {
				report.Scanner.Version = driver.SemanticVersion
			}
		}
		return report.run(path, run)
	})
	if err == nil && runs == 0 {
		err = bounded.Refuse(bounded.Malformed, "runs", "got none, want at least one")
	}
	return report, err
}

// run adds the results of a run. Results that are absent or null mean that the run
// did not get as far (section 3.14.23), and an empty list that nothing was found.
func (r *Report) run(path string, run sarifRun) error {
	if run.Results.Absent() {
		return bounded.Refuse(bounded.Malformed, path+".results", "got none, want a list: that nothing is said is not that nothing was found")
	}
	for i, invocation := range run.Invocations {
		at := bounded.At(path+".invocations", i)
		if invocation.Successful != nil && !*invocation.Successful {
			return bounded.Refuse(bounded.Malformed, at+".executionSuccessful", "got false, want true")
		}
		var of Report
		if err := of.timed(at+".startTimeUtc", invocation.Started, at+".endTimeUtc", invocation.Ended); err != nil {
			return err
		}
		r.StartedOn, r.FinishedOn = earlier(r.StartedOn, of.StartedOn), earlier(r.FinishedOn, of.FinishedOn)
	}
	known := rules{byID: map[string]rule{}}
	for i, component := range append([]sarifComponent{run.Tool.Driver}, run.Tool.Extensions...) {
		at := path + ".tool.driver.rules"
		if i > 0 {
			at = bounded.At(path+".tool.extensions", i-1) + ".rules"
		}
		err := bounded.Each(at, component.Rules, func(path string, r sarifRule) error {
			read, err := r.read(path)
			if i == 0 {
				known.driver = append(known.driver, read)
			}
			if other, twice := known.byID[read.id]; twice {
				read = read.worse(other)
			}
			known.byID[read.id] = read
			return err
		})
		if err != nil {
			return err
		}
	}
	return bounded.Each(path+".results", run.Results, func(path string, result sarifResult) error {
		if result.Kind == "pass" || result.Kind == "notApplicable" || result.Baseline == "absent" {
			return nil // sections 3.27.9 and 3.27.24: what is not there
		}
		rule, err := known.of(path, result)
		if err != nil {
			return err
		}
		return r.add(path, result.finding(rule))
	})
}

// identifier begins the IDs of rules: Grype appends the package.
var identifier = regexp.MustCompile(`^(CVE-[0-9]{4}-[0-9]{4,}|GHSA(?:-[0-9a-z]{4}){3})(?:-|$)`)

// finding requires a rule with the ID of the result.
func (s sarifResult) finding(r rule) Finding {
	out := Finding{ID: r.id, State: stateUnknown, Severity: r.severity, Score: r.score, Suppressed: s.suppressed()}
	if found := identifier.FindStringSubmatch(r.id); found != nil {
		out.ID = found[1]
	}
	text := append(lines(s.Message.Text), r.text...)
	out.Package = Package{Name: first(text, "Package"), Version: first(text, "Installed Version", "Version"), Type: first(text, "Type"), PURL: r.purl}
	out.Severity = worse(out.Severity, severityIn(text))
	// Of a message that goes on, the line with the version may be among what was not read.
	cut := strings.Count(s.Message.Text, "\n") >= maxLines
	for _, l := range text {
		switch {
		case !slices.Contains(fixedVersion(), l.key):
		case l.value == "" && !cut:
			out.State = stateNotFixed
		default: // no version is none
			out.fixedIn(l.value)
		}
	}
	return out
}

// suppressed says whether all suppressions of a result are accepted, and there are
// any: section 3.27.23. Without a status one is.
func (s sarifResult) suppressed() bool {
	for _, suppression := range s.Suppressions {
		if suppression.Kind == "" || suppression.Status != "" && suppression.Status != "accepted" {
			return false
		}
	}
	return len(s.Suppressions) > 0
}
