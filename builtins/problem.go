package builtins

import (
	"context"
	"errors"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
)

// problemOf gives an error of the rooms below its code. What has none is
// malformed, never a success.
func problemOf(err error) *declare.Problem {
	var registry *oci.Error
	var refusal *sigstore.Refusal
	switch {
	case errors.As(err, &refusal):
		return declare.Refuse(declare.Code(refusal.Code), refusal.Message)
	case errors.As(err, &registry):
		return declare.Refuse(declare.Code(registry.Code), registry.Message)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return declare.Refuse(declare.Timeout, err.Error())
	}
	return declare.Refuse(declare.Malformed, err.Error())
}
