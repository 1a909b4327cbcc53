package pull

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The codes of an [Error], which are among those of the builtins.
const (
	// Unauthorized: we may not read what is named.
	Unauthorized = "unauthorized"
	// Timeout: the API server did not answer in time.
	Timeout = "timeout"
	// Unreachable: there is no API server, or it is broken.
	Unreachable = "unreachable"
	// RateLimited: it wants fewer requests.
	RateLimited = "rate_limited"
	// Malformed: what is named is not what it should be.
	Malformed = "malformed"
	// TooLarge: more Secrets than are read.
	TooLarge = "too_large"
)

// Error is why credentials cannot be known.
type Error struct {
	Code    string
	Message string // of names and what the API server says; never what a Secret holds
	Err     error  // the cause, where there is one
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refusal gives an error of the API server, or of the way there, its code. The message is
// the API server's own, as policy-controller shows it (AUTH-2).
func refusal(ctx context.Context, k key, err error) *Error {
	out := &Error{Code: Unreachable, Message: brief(err), Err: err}
	var waited net.Error
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		out.Code = Unauthorized
	case apierrors.IsTooManyRequests(err):
		out.Code = RateLimited
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err),
		errors.As(err, &waited) && waited.Timeout():
		out.Code = Timeout
		out.Message = fmt.Sprintf("%s %q: the API server did not answer in time", k.resource.Resource, k.name)
	}
	return out
}

// brief keeps a text short and on one line. What the API server says of a right that is
// missing takes 250 bytes.
func brief(err error) string {
	const longest = 500
	text := strings.ToValidUTF8(strings.Join(strings.Fields(err.Error()), " "), "")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
