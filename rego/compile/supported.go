package compile

import (
	"errors"
	"fmt"

	"github.com/assay-dev/assay/rego/cip"
)

// supported refuses every field that is understood and not enforced: leaving it
// out would judge by another policy than the one that was written. All of them
// are named at once.
func supported(p cip.Policy) error {
	var errs []error
	refuse := func(set bool, path string, args ...any) {
		if set {
			errs = append(errs, fmt.Errorf(path+": not supported yet", args...))
		}
	}
	refuse(p.Spec.Policy != nil, "spec.policy")
	for i, a := range p.Spec.Authorities {
		if a.Key != nil {
			refuse(a.Key.SecretRef != nil, "spec.authorities[%d].key.secretRef", i)
			refuse(a.Key.KMS != "", "spec.authorities[%d].key.kms", i)
		}
		if a.Keyless != nil {
			refuse(a.Keyless.CACert != nil, "spec.authorities[%d].keyless.ca-cert", i)
		}
		for j, attestation := range a.Attestations {
			refuse(attestation.Policy != nil, "spec.authorities[%d].attestations[%d].policy", i, j)
		}
	}
	return errors.Join(errs...)
}
