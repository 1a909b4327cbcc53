package builtins

import (
	"context"
	"errors"

	"github.com/assay-dev/assay/builtins/cue"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
)

// problem is why a builtin has no better answer.
type problem struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// problemOf gives an error of the rooms below its code. What has none is
// malformed, never a success.
func problemOf(err error) *problem {
	var registry *oci.Error
	var refusal *sigstore.Refusal
	var verdict *cue.Refusal
	switch {
	case errors.As(err, &refusal):
		return &problem{Code(refusal.Code), refusal.Message}
	case errors.As(err, &verdict):
		return &problem{Code(verdict.Code), verdict.Message}
	case errors.As(err, &registry):
		return &problem{Code(registry.Code), registry.Message}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{Timeout, err.Error()}
	}
	return &problem{Malformed, err.Error()}
}

// kept reports whether an answer with this problem may serve again: that
// something is not there holds for a moment, everything else is asked anew.
func (p *problem) kept() bool {
	return p.Code == NotFound || p.Code == NoSignatures
}
