package lint

import (
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// evidence looks at what authorities demand of signatures, and of which types.
func (l *linter) evidence() {
	for i := range l.subject.policy.Spec.Authorities {
		a, path := &l.subject.policy.Spec.Authorities[i], at("spec.authorities", i)
		l.log(a, path)
		l.emptyFields(a, path)
		for j, attestation := range a.Attestations {
			l.predicate(at(path+".attestations", j)+".predicateType", attestation.PredicateType)
		}
	}
}

// named says whether the authority names timestamps and a log to be checked.
func named(a *cip.Authority) (timestamp, log bool) {
	timestamp = a.RFC3161Timestamp != nil && a.RFC3161Timestamp.TrustRootRef != ""
	log = a.CTLog != nil && (a.CTLog.URL != "" || a.CTLog.TrustRootRef != "")
	return timestamp, log
}

// log finds authorities whose signatures nobody has to have seen (KEY-5, KLS-6,
// KLS-8).
func (l *linter) log(a *cip.Authority, path string) {
	const fix = "add ctlog with the url of the log, or with trustRootRef"
	timestamp, log := named(a)
	switch {
	case a.Key != nil && !log && !timestamp && a.CTLog == nil:
		l.report(ruleNoLog, path+".key", fix, "a signature by this key needs no entry in a transparency log")
	case a.Keyless != nil && !log && !timestamp && a.Keyless.TrustRootRef != "":
		l.reportAs(Warning, ruleNoLog, path+".keyless.trustRootRef", fix+", or rfc3161timestamp",
			"with trustRootRef and without ctlog the log is not checked: "+
				"an image is admitted only while its certificate is valid, which is ten minutes")
	}
	if k := a.Keyless; k != nil && k.InsecureIgnoreSCT != nil && *k.InsecureIgnoreSCT {
		l.report(ruleNoLog, path+".keyless.insecureIgnoreSCT", "leave it out where the TrustRoot has ctLogs",
			"a certificate needs no proof that it was logged")
	}
}

// emptyFields finds what reads like a demand and is none.
func (l *linter) emptyFields(a *cip.Authority, path string) {
	timestamp, log := named(a)
	if a.RFC3161Timestamp != nil && !timestamp {
		l.report(ruleEmptyField, path+".rfc3161timestamp", "write trustRootRef with a TrustRoot that has timestampAuthorities",
			"names no trustRootRef: timestamps are not checked")
	}
	// Keyless without any trustRootRef has its log checked whatever ctlog says.
	checked := a.Keyless != nil && a.Keyless.TrustRootRef == "" && !timestamp
	if a.CTLog != nil && !log && !checked {
		l.report(ruleEmptyField, path+".ctlog", "write trustRootRef with a TrustRoot, or a url for the default root",
			"names neither url nor trustRootRef: the transparency log is not checked")
	}
}

// predicate finds types that are no URIs (VAL-16).
func (l *linter) predicate(path, predicateType string) {
	if uri := cip.PredicateTypeURI(predicateType); uri != predicateType {
		l.report(rulePredicate, path, "write "+uri, "%s is short for %s", predicateType, uri)
		return
	}
	if scheme, _, found := strings.Cut(predicateType, ":"); found && scheme != "" && !strings.ContainsAny(scheme, "/.") {
		return
	}
	if !strings.ContainsAny(predicateType, "/.:") {
		l.report(rulePredicate, path, "write the type as the attestations say it",
			"%s is neither a URI nor one of the short names: only attestations that say just that have it", predicateType)
		return
	}
	l.reportAs(Note, rulePredicate, path, "write https://"+predicateType+" where the attestations say so",
		"%s is not a URI; it is compared as it is with what the attestation says", predicateType)
}
