package compile

import (
	"errors"
	"fmt"

	"github.com/assay-dev/assay/rego/cip"
)

// resolved refuses every reference that is still one: whoever compiles a policy
// has read what it refers to, or says in its Gaps why that could not be read.
// Leaving it out would judge by another policy than the one that was written.
// All of them are named at once.
func resolved(p cip.Policy) error {
	var errs []error
	refuse := func(set bool, path string, args ...any) {
		if set {
			errs = append(errs, fmt.Errorf(path+": not resolved", args...))
		}
	}
	unread := func(r *cip.PolicyRef) bool { return r != nil && (r.Remote != nil || r.ConfigMapRef != nil) }
	if !hasGap(p, policyPath) {
		refuse(unread(p.Spec.Policy), policyPath)
	}
	for i, a := range p.Spec.Authorities {
		if hasGap(p, authorityPath(i)) {
			continue
		}
		if a.Key != nil {
			refuse(a.Key.SecretRef != nil, "spec.authorities[%d].key.secretRef", i)
			refuse(a.Key.KMS != "", "spec.authorities[%d].key.kms", i)
		}
		if a.Keyless != nil && a.Keyless.CACert != nil {
			refuse(a.Keyless.CACert.SecretRef != nil, "spec.authorities[%d].keyless.ca-cert.secretRef", i)
			refuse(a.Keyless.CACert.KMS != "", "spec.authorities[%d].keyless.ca-cert.kms", i)
		}
		for j, attestation := range a.Attestations {
			refuse(unread(attestation.Policy), "spec.authorities[%d].attestations[%d].policy", i, j)
		}
	}
	return errors.Join(errs...)
}

// hasGap reports whether a part of the policy fails for what could not be read.
func hasGap(p cip.Policy, path string) bool {
	_, ok := p.Gaps[path]
	return ok
}
