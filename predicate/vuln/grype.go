package vuln

import (
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// Grype's own types live in its module, which brings databases, registries and
// Syft: hundreds of packages for these fields.

// grype is what is read of https://github.com/anchore/grype/tree/main/grype/presenter/models.
type grype struct {
	Matches    bounded.Raw `json:"matches"`
	Ignored    bounded.Raw `json:"ignoredMatches"`
	Descriptor struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Timestamp string `json:"timestamp"`
		DB        struct {
			Built         string      `json:"built"`
			SchemaVersion bounded.Raw `json:"schemaVersion"`
			// Status is where they stand since database version 6.
			Status struct {
				Built         string      `json:"built"`
				SchemaVersion bounded.Raw `json:"schemaVersion"`
				From          string      `json:"from"`
			} `json:"status"`
		} `json:"db"`
	} `json:"descriptor"`
}

type grypeMatch struct {
	Vulnerability struct {
		ID       string      `json:"id"`
		Severity string      `json:"severity"`
		CVSS     []grypeCVSS `json:"cvss"`
		Fix      struct {
			Versions []string `json:"versions"`
			State    string   `json:"state"`
		} `json:"fix"`
	} `json:"vulnerability"`
	Related []struct {
		ID   string      `json:"id"`
		CVSS []grypeCVSS `json:"cvss"`
	} `json:"relatedVulnerabilities"`
	Artifact struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Type    string `json:"type"`
		PURL    string `json:"purl"`
	} `json:"artifact"`
}

type grypeCVSS struct {
	Metrics struct {
		BaseScore float64 `json:"baseScore"`
	} `json:"metrics"`
}

func readGrype(data []byte) (Report, error) {
	var in grype
	if err := bounded.Decode(data, &in); err != nil {
		return Report{}, err
	}
	if in.Matches.Absent() {
		return Report{}, bounded.Refuse(bounded.Malformed, "matches", "got none, want a list")
	}
	db := in.Descriptor.DB
	report := Report{Format: "grype", Findings: []Finding{}, Scanner: Scanner{Name: in.Descriptor.Name, Version: in.Descriptor.Version}}
	report.Scanner.DB = Database{Version: scalar(db.SchemaVersion) + scalar(db.Status.SchemaVersion), URI: db.Status.From}
	var err error
	if report.Scanner.DB.UpdatedOn, err = bounded.Time("descriptor.db.built", db.Built); err != nil {
		return Report{}, err
	}
	if db.Built == "" {
		if report.Scanner.DB.UpdatedOn, err = bounded.Time("descriptor.db.status.built", db.Status.Built); err != nil {
			return Report{}, err
		}
	}
	if err := report.timed("", "", "descriptor.timestamp", in.Descriptor.Timestamp); err != nil {
		return Report{}, err
	}
	for _, part := range []struct {
		path       string
		list       bounded.Raw
		suppressed bool
	}{{"matches", in.Matches, false}, {"ignoredMatches", in.Ignored, true}} {
		err := bounded.Each(part.path, part.list, func(path string, m grypeMatch) error {
			finding, err := m.finding(path)
			if err != nil {
				return err
			}
			finding.Suppressed = part.suppressed
			return report.add(path, finding)
		})
		if err != nil {
			return Report{}, err
		}
	}
	return report, nil
}

func (m grypeMatch) finding(path string) (Finding, error) {
	out := Finding{
		ID: m.Vulnerability.ID, FixedVersions: m.Vulnerability.Fix.Versions,
		Package: Package{Name: m.Artifact.Name, Version: m.Artifact.Version, Type: m.Artifact.Type, PURL: m.Artifact.PURL},
	}
	var err error
	if out.Severity, err = severity(path+".vulnerability.severity", m.Vulnerability.Severity); err != nil {
		return Finding{}, err
	}
	if out.State, err = state(path+".vulnerability.fix.state", m.Vulnerability.Fix.State); err != nil {
		return Finding{}, err
	}
	scores := m.Vulnerability.CVSS
	for _, related := range m.Related {
		out.Aliases = append(out.Aliases, related.ID)
		scores = append(scores, related.CVSS...)
	}
	for _, score := range scores {
		out.Score = higher(out.Score, score.Metrics.BaseScore)
	}
	return out, nil
}

// scalar is a text or a number as text.
func scalar(raw bounded.Raw) string {
	if raw.Absent() || raw[0] == '{' || raw[0] == '[' {
		return ""
	}
	return strings.Trim(string(raw), `"`)
}
