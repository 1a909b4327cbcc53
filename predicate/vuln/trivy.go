package vuln

import "github.com/assay-dev/assay/predicate/bounded"

// Trivy's own types live in its module, which brings cloud SDKs and databases: a
// thousand packages for these fields.

// trivy is what is read of https://github.com/aquasecurity/trivy/blob/main/pkg/types/report.go.
type trivy struct {
	SchemaVersion int    `json:"SchemaVersion"`
	CreatedAt     string `json:"CreatedAt"`
	Trivy         struct {
		Version string `json:"Version"`
	} `json:"Trivy"`
	// Results are absent where Trivy found nothing that it knows how to scan, or was not
	// asked for anything. Where it did scan there is one, without vulnerabilities.
	Results bounded.Raw `json:"Results"`
}

type trivyResult struct {
	Class           string      `json:"Class"`
	Type            string      `json:"Type"`
	Vulnerabilities bounded.Raw `json:"Vulnerabilities"`
	// Modified are findings that an ignore file or VEX took out.
	Modified bounded.Raw `json:"ExperimentalModifiedFindings"`
}

type trivyModified struct {
	Type    string             `json:"Type"`
	Finding trivyVulnerability `json:"Finding"`
}

type trivyVulnerability struct {
	ID         string   `json:"VulnerabilityID"`
	VendorIDs  []string `json:"VendorIDs"`
	Name       string   `json:"PkgName"`
	Version    string   `json:"InstalledVersion"`
	Fixed      string   `json:"FixedVersion"`
	Status     string   `json:"Status"`
	Severity   string   `json:"Severity"`
	Published  string   `json:"PublishedDate"`
	Modified   string   `json:"LastModifiedDate"`
	Identifier struct {
		PURL string `json:"PURL"`
	} `json:"PkgIdentifier"`
	CVSS map[string]struct {
		V2  float64 `json:"V2Score"`
		V3  float64 `json:"V3Score"`
		V40 float64 `json:"V40Score"`
	} `json:"CVSS"`
}

func readTrivy(data []byte) (Report, error) {
	var in trivy
	if err := bounded.Decode(data, &in); err != nil {
		return Report{}, err
	}
	if in.SchemaVersion != 2 {
		return Report{}, bounded.Refuse(bounded.Unsupported, "SchemaVersion", "got %d, want 2", in.SchemaVersion)
	}
	if in.Results.Absent() {
		return Report{}, bounded.Refuse(bounded.Malformed, "Results", "got none, want a list: that nothing is said is not that nothing was found")
	}
	report := Report{Format: "trivy", Findings: []Finding{}, Scanner: Scanner{Name: "Trivy", Version: in.Trivy.Version}}
	if err := report.timed("", "", "CreatedAt", in.CreatedAt); err != nil {
		return Report{}, err
	}
	scanned := false
	err := bounded.Each("Results", in.Results, func(path string, r trivyResult) error {
		scanned = scanned || r.packages()
		err := bounded.Each(path+".Vulnerabilities", r.Vulnerabilities, func(path string, v trivyVulnerability) error {
			return report.addTrivy(path, v, r.Type, false)
		})
		if err != nil {
			return err
		}
		return bounded.Each(path+".ExperimentalModifiedFindings", r.Modified, func(path string, m trivyModified) error {
			if m.Type != "vulnerability" {
				return nil // a secret or a misconfiguration
			}
			return report.addTrivy(path+".Finding", m.Finding, r.Type, true)
		})
	})
	if err == nil && !scanned && len(report.Findings) == 0 {
		err = bounded.Refuse(bounded.Malformed, "Results",
			"got none of class os-pkgs or lang-pkgs, want one: that packages were not scanned is not that nothing was found")
	}
	return report, err
}

// packages says whether packages were scanned: other results are of secrets, licences
// and misconfigurations. Every release that writes schema version 2 gives the class,
// from 0.20 on, so that a result without one says nothing.
func (r trivyResult) packages() bool { return r.Class == "os-pkgs" || r.Class == "lang-pkgs" }

func (r *Report) addTrivy(path string, v trivyVulnerability, kind string, suppressed bool) error {
	out := Finding{
		ID: v.ID, Aliases: v.VendorIDs, State: trivyState(v.Status, v.Fixed), Suppressed: suppressed,
		Package: Package{Name: v.Name, Version: v.Version, PURL: v.Identifier.PURL, Type: kind},
	}
	out.fixedIn(v.Fixed)
	for _, score := range v.CVSS {
		out.Score = higher(higher(higher(out.Score, score.V2), score.V3), score.V40)
	}
	var err error
	if out.Severity, err = severity(path+".Severity", v.Severity); err != nil {
		return err
	}
	if out.PublishedOn, err = bounded.Time(path+".PublishedDate", v.Published); err != nil {
		return err
	}
	if out.ModifiedOn, err = bounded.Time(path+".LastModifiedDate", v.Modified); err != nil {
		return err
	}
	return r.add(path, out)
}

// trivyState reads the status of a distribution. Versions of Trivy before 0.42 have
// none, and tell by the version alone.
func trivyState(status, fixed string) string {
	switch status {
	case "fixed":
		return stateFixed
	case "affected", "fix_deferred":
		return stateNotFixed
	case "will_not_fix", "end_of_life":
		return stateWontFix
	case "":
		if fixed == "" {
			return stateNotFixed
		}
		return stateFixed
	}
	return stateUnknown
}
