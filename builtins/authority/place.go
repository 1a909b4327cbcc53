package authority

import (
	"errors"
	"fmt"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/rego/cip"
)

// Place reads the source of an authority: where its evidence is, and the Secrets of
// who asks for it, nil where that is the workload. Credentials of the source take the
// place of the workload's and never stand beside them (AUTH-4): without any the source
// is asked anonymously.
func Place(a cip.Authority) (place oci.Place, named []string, _ *declare.Problem) {
	switch len(a.Sources) {
	case 0:
		return place, nil, nil
	case 1:
	default:
		return place, nil, declare.Refuse(declare.Malformed, fmt.Sprintf("authority: source: got %d, want at most 1", len(a.Sources)))
	}
	source, prefix := a.Sources[0], ""
	if source.TagPrefix != nil {
		prefix = *source.TagPrefix
	}
	place, err := oci.ParsePlace(source.OCI, prefix)
	if err != nil {
		return place, nil, declare.Refuse(declare.Malformed, "authority: source[0]: "+messageOf(err))
	}
	for _, secret := range source.SignaturePullSecrets {
		named = append(named, secret.Name)
	}
	return place, named, nil
}

// messageOf is an error without its code, which is not that of the authority.
func messageOf(err error) string {
	var refused *oci.Error
	if errors.As(err, &refused) {
		return refused.Message
	}
	return err.Error()
}
