package oci

import "github.com/assay-dev/assay/builtins/oci/edge"

// Code says which kind of refusal an [Error] is. A Code is itself an error, so errors.Is(err, oci.NotFound) works.
type Code = edge.Code

// Error is how every call of this package fails.
type Error = edge.Error

// The closed list of codes; see package edge for what each means.
const (
	NotFound       = edge.NotFound
	Unauthorized   = edge.Unauthorized
	RateLimited    = edge.RateLimited
	Timeout        = edge.Timeout
	Unreachable    = edge.Unreachable
	ForbiddenHost  = edge.ForbiddenHost
	Malformed      = edge.Malformed
	DigestMismatch = edge.DigestMismatch
	TooLarge       = edge.TooLarge
)
