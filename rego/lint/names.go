package lint

import (
	"fmt"

	"github.com/assay-dev/assay/rego/cip"
)

// names finds authorities, and attestations of one authority, with one name.
func (l *linter) names() {
	seen := map[string]int{}
	for i, a := range l.subject.policy.Spec.Authorities {
		path := at("spec.authorities", i)
		if first, twice := seen[a.Name]; twice {
			l.reportAs(Warning, ruleDuplicate, path+".name", "give each authority a name of its own",
				"%s is the name of spec.authorities[%d] too: policies see only one of them", a.Name, first)
		} else {
			seen[a.Name] = i
		}
		l.attestationNames(path+".attestations", a.Attestations)
	}
}

func (l *linter) attestationNames(path string, attestations []cip.Attestation) {
	seen := map[string]int{}
	for i, a := range attestations {
		if first, twice := seen[a.Name]; twice {
			l.reportAs(Warning, ruleDuplicate, at(path, i)+".name", "give each attestation a name of its own",
				"%s is the name of attestations[%d] too: policies see only one of them", a.Name, first)
			continue
		}
		seen[a.Name] = i
	}
}

// resources finds resources of one kind and name, over all files. The later one
// replaces the earlier in a cluster, and the program refuses both.
func (l *linter) resources(files []File) {
	first := map[string]string{}
	for _, file := range files {
		for _, r := range file.places.Resources() {
			if r.Kind != "ClusterImagePolicy" && r.Kind != "TrustRoot" {
				continue
			}
			id, place := r.Kind+" "+r.Name, fmt.Sprintf("%s:%d", file.Name, r.Line)
			if _, twice := first[id]; !twice {
				first[id] = place
				continue
			}
			l.findings = append(l.findings, Finding{
				Rule: ruleDuplicate, Severity: Error, File: file.Name, Line: r.Line, Policy: r.Name, Path: "metadata.name",
				Message: id + " is in " + first[id] + " too: a cluster has one of them", Fix: "rename one, or take one away",
			})
		}
	}
}

// trustRoots finds references to a TrustRoot that is in none of the files.
func (l *linter) trustRoots(files []File) {
	known := map[string]bool{}
	for _, file := range files {
		for _, root := range file.documents.TrustRoots {
			known[root.Name] = true
		}
	}
	for _, s := range l.all {
		l.subject = s
		for i, a := range s.policy.Spec.Authorities {
			path := at("spec.authorities", i)
			check := func(field, name string) {
				if name != "" && !known[name] {
					l.report(ruleTrustRoot, path+field, "add the TrustRoot to the files, or correct the name",
						"none of the files defines TrustRoot %s: the authority fails for every image", name)
				}
			}
			if a.Keyless != nil {
				check(".keyless.trustRootRef", a.Keyless.TrustRootRef)
			}
			if a.CTLog != nil {
				check(".ctlog.trustRootRef", a.CTLog.TrustRootRef)
			}
			if a.RFC3161Timestamp != nil {
				check(".rfc3161timestamp.trustRootRef", a.RFC3161Timestamp.TrustRootRef)
			}
		}
	}
}
