package vuln

import (
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/predicate/bounded"
)

// MaxFindings is how many findings a report may have. The worst images have some
// thousand; each becomes some thirty Rego values. MaxText is how many bytes of text
// they have in all: a report of MaxBytes has no more, but where every result of SARIF
// repeats what its rule says once.
const (
	MaxFindings = 50_000
	MaxText     = bounded.MaxBytes
)

// predicateTypes are those of statements about vulnerabilities: cosign's, which
// lost its scheme for a while.
func predicateTypes() []string {
	return append(bounded.Custom(), "https://cosign.sigstore.dev/attestation/vuln/v1", "cosign.sigstore.dev/attestation/vuln/v1")
}

// Findings reads a report: the document itself, a JSON string that holds it,
// cosign's {"Data": "…"}, or an in-toto statement about any of these. The error is
// a *bounded.Error.
func Findings(document []byte) (Report, error) {
	data, err := bounded.Unwrap(document, predicateTypes())
	if err != nil {
		return Report{}, err
	}
	var head struct {
		Scanner bounded.Raw `json:"scanner"`
		reportHead
	}
	if err := bounded.Decode(data, &head); err != nil {
		return Report{}, err
	}
	if head.Scanner == nil {
		return readReport(data, head.reportHead)
	}
	if _, err := head.format("scanner"); err != nil {
		return Report{}, err
	}
	report, err := readCosign(data)
	if err != nil {
		return Report{}, err
	}
	return report, nil
}

// reportHead tells the formats apart.
type reportHead struct {
	Runs          bounded.Raw `json:"runs"`
	Matches       bounded.Raw `json:"matches"`
	SchemaVersion bounded.Raw `json:"SchemaVersion"`
}

// format is the one that the fields name, beside those that are told already.
func (h reportHead) format(told ...string) (string, error) {
	if h.Runs != nil {
		told = append(told, "runs")
	}
	if h.Matches != nil {
		told = append(told, "matches")
	}
	if h.SchemaVersion != nil {
		told = append(told, "SchemaVersion")
	}
	switch len(told) {
	case 0:
		return "", bounded.Refuse(bounded.Unsupported, "", "got none of scanner, runs, matches and SchemaVersion, want cosign's predicate, SARIF, Grype or Trivy")
	case 1:
		return told[0], nil
	}
	return "", bounded.Refuse(bounded.Malformed, told[1], "got it beside %s, want one format", told[0])
}

// readReport reads a report that is not wrapped.
func readReport(data []byte, head reportHead) (Report, error) {
	format, err := head.format()
	if err != nil {
		return Report{}, err
	}
	read := map[string]func([]byte) (Report, error){"runs": readSARIF, "matches": readGrype, "SchemaVersion": readTrivy}[format]
	report, err := read(data)
	if err == nil {
		err = report.fits()
	}
	if err != nil {
		return Report{}, err
	}
	return report, nil
}

// cosign is what is read of cosign's vuln predicate, which
// https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md
// describes.
type cosign struct {
	Scanner struct {
		URI     string `json:"uri"`
		Version string `json:"version"`
		DB      struct {
			URI     string `json:"uri"`
			Version string `json:"version"`
		} `json:"db"`
		Result bounded.Raw `json:"result"`
	} `json:"scanner"`
	Metadata struct {
		StartedOn  string `json:"scanStartedOn"`
		FinishedOn string `json:"scanFinishedOn"`
	} `json:"metadata"`
}

func readCosign(data []byte) (Report, error) {
	var in cosign
	if err := bounded.Decode(data, &in); err != nil {
		return Report{}, err
	}
	const path = "scanner.result"
	if in.Scanner.Result.Absent() {
		return Report{}, bounded.Refuse(bounded.Malformed, path, "got none, want a report: that nothing is said is not that nothing was found")
	}
	inner, err := bounded.Unwrap(in.Scanner.Result, nil)
	if err != nil {
		return Report{}, bounded.Within(path, err)
	}
	var head reportHead
	if err := bounded.Decode(inner, &head); err != nil {
		return Report{}, bounded.Within(path, err)
	}
	report, err := readReport(inner, head)
	if err != nil {
		return Report{}, bounded.Within(path, err)
	}
	scanner := &report.Scanner
	for _, field := range []struct {
		to   *string
		from string
	}{{&scanner.URI, in.Scanner.URI}, {&scanner.Version, in.Scanner.Version}, {&scanner.DB.URI, in.Scanner.DB.URI}, {&scanner.DB.Version, in.Scanner.DB.Version}} {
		if field.from != "" {
			*field.to = field.from
		}
	}
	return report, report.timed("metadata.scanStartedOn", in.Metadata.StartedOn, "metadata.scanFinishedOn", in.Metadata.FinishedOn)
}

// timed sets the times that are there.
func (r *Report) timed(startPath, start, finishPath, finish string) error {
	started, err := bounded.Time(startPath, start)
	if err != nil {
		return err
	}
	finished, err := bounded.Time(finishPath, finish)
	if err != nil {
		return err
	}
	if started != "" {
		r.StartedOn = started
	}
	if finished != "" {
		r.FinishedOn = finished
	}
	return nil
}

// earlier is the earlier of two times of [bounded.Time], "" being none.
func earlier(a, b string) string {
	first, err := time.Parse(time.RFC3339Nano, a)
	if err != nil {
		return b
	}
	if second, err := time.Parse(time.RFC3339Nano, b); err == nil && second.Before(first) {
		return b
	}
	return a
}

// add appends a finding, whose place in the report is path.
func (r *Report) add(path string, f Finding) error {
	if f.ID == "" {
		return bounded.Refuse(bounded.Malformed, path, "got a finding without an ID, want one")
	}
	if len(r.Findings) == MaxFindings {
		return bounded.Refuse(bounded.TooLarge, path, "got more than %d findings, want at most that", MaxFindings)
	}
	f.FixedVersions = bounded.List(f.FixedVersions)
	f.Aliases = others(f.ID, f.Aliases)
	// Where there is a version without the vulnerability there is a fix, whatever the
	// state says.
	if len(f.FixedVersions) > 0 {
		f.State = stateFixed
	}
	r.Findings = append(r.Findings, f)
	return nil
}

// fits refuses findings whose text is short only as long as they share it.
func (r *Report) fits() error {
	text := 0
	for _, f := range r.Findings {
		if text += f.size(); text > MaxText {
			return bounded.Refuse(bounded.TooLarge, "", "got findings of more than %d bytes, want at most that", MaxText)
		}
	}
	return nil
}

// size is how many bytes of text a finding has that its document chose.
func (f Finding) size() int {
	out := len(f.ID) + len(f.Package.Name) + len(f.Package.Version) + len(f.Package.PURL) + len(f.Package.Type)
	for _, text := range slices.Concat(f.Aliases, f.FixedVersions) {
		out += len(text)
	}
	return out
}

// maxFixed is how many fixed versions of a finding are kept: that there is one is
// what matters, and every result of SARIF may repeat those of its rule.
const maxFixed = 16

// fixedIn adds versions that a scanner writes as "1.2, 2.0".
func (f *Finding) fixedIn(text string) {
	for version := range strings.SplitSeq(text, ",") {
		if len(f.FixedVersions) == maxFixed {
			return
		}
		if version = strings.TrimSpace(version); version != "" && !slices.Contains(f.FixedVersions, version) {
			f.FixedVersions = append(f.FixedVersions, version)
		}
	}
}

// others are the names but the one, each once.
func others(id string, names []string) []string {
	seen := map[string]bool{id: true, "": true}
	out := []string{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// Decode reads findings in the shape of [Finding], as Rego hands them on. The error
// is a *bounded.Error.
func Decode(findings []byte) ([]Finding, error) {
	if err := bounded.Check(findings); err != nil {
		return nil, err
	}
	var list bounded.Raw
	if err := bounded.Decode(findings, &list); err != nil {
		return nil, err
	}
	if list.Absent() {
		return nil, bounded.Refuse(bounded.Malformed, "", "got null, want a list")
	}
	report := Report{Findings: []Finding{}}
	err := bounded.Each("", list, func(path string, f Finding) error {
		var err error
		if f.Severity, err = severity(bounded.In(path, "severity"), f.Severity); err != nil {
			return err
		}
		if f.State, err = state(bounded.In(path, "state"), f.State); err != nil {
			return err
		}
		return report.add(path, f)
	})
	if err != nil {
		return nil, err
	}
	return report.Findings, nil
}
