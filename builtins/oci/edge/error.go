package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Code says which kind of refusal an [Error] is. A Code is itself an error, so errors.Is(err, oci.NotFound) works.
type Code string

// The closed list of codes.
const (
	// NotFound: the registry does not have what was asked for.
	NotFound Code = "not_found"
	// Unauthorized: the registry, or its token realm, wants other credentials.
	Unauthorized Code = "unauthorized"
	// RateLimited: the registry wants fewer requests.
	RateLimited Code = "rate_limited"
	// Timeout: the deadline passed, or the caller left.
	Timeout Code = "timeout"
	// Unreachable: no answer, or the registry answered that it is broken.
	Unreachable Code = "unreachable"
	// ForbiddenHost: an address that must not be dialled, or a step down from https to http.
	ForbiddenHost Code = "forbidden_host"
	// Malformed: the reference, or the answer, is not what the specification says.
	Malformed Code = "malformed"
	// DigestMismatch: the bytes are not the ones that the digest, or the descriptor's size, names.
	DigestMismatch Code = "digest_mismatch"
	// TooLarge: more bytes, layers or referrers than are read.
	TooLarge Code = "too_large"
)

// Error makes a Code usable as the target of errors.Is.
func (c Code) Error() string { return string(c) }

// Transient reports whether asking again may help.
func (c Code) Transient() bool {
	switch c {
	case Timeout, Unreachable, RateLimited, Unauthorized:
		return true
	}
	return false
}

// Error is how every call of package oci fails.
type Error struct {
	Code    Code
	Message string // what was asked, what was got and what was wanted; never a body, a header or a secret
	Err     error  // the cause, where there is one
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap returns the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// Refuse makes a refusal of a code and a message.
func Refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Refusal gives any error its code. What names what was being attempted.
func Refusal(what string, err error) *Error {
	var (
		own      *Error
		answered *transport.Error
		waited   net.Error
		syntax   *json.SyntaxError
	)
	switch {
	case errors.As(err, &own):
		return &Error{Code: own.Code, Message: what + ": " + own.Message, Err: own.Err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &waited) && waited.Timeout():
		return &Error{Code: Timeout, Message: what + ": got no answer in time", Err: cause(err)}
	case errors.As(err, &answered):
		return RefuseStatus(what, answered.StatusCode)
	case errors.As(err, &syntax):
		return &Error{Code: Malformed, Message: what + ": got an answer that is not JSON", Err: cause(err)}
	}
	return &Error{Code: Unreachable, Message: what + ": " + Brief(cause(err)), Err: cause(err)}
}

// AsError is err as the refusal that it is, or that [Refusal] makes of it.
func AsError(what string, err error) *Error {
	if own := (*Error)(nil); errors.As(err, &own) {
		return own
	}
	return Refusal(what, err)
}

// WithoutCredentials is the refusal for a keychain that failed. A refusal of ours keeps its code and message; the text of
// anything else, such as a credential helper, may hold what it helps to keep secret.
func WithoutCredentials(what string, err error) *Error {
	if own := (*Error)(nil); errors.As(err, &own) {
		return Refusal(what, own)
	}
	return &Error{Code: Unauthorized, Message: what + ": got no credentials from the keychain", Err: err}
}

// Status is the cause of a refusal that is an HTTP status.
type Status int

// Error implements error.
func (s Status) Error() string { return fmt.Sprintf("status %d", int(s)) }

// RefuseStatus is the refusal for an HTTP status that is not 200.
func RefuseStatus(what string, got int) *Error {
	code := Malformed
	switch {
	case got == http.StatusUnauthorized, got == http.StatusForbidden:
		code = Unauthorized
	case got == http.StatusNotFound:
		code = NotFound
	case got == http.StatusTooManyRequests:
		code = RateLimited
	case got >= http.StatusInternalServerError:
		code = Unreachable
	}
	return &Error{Code: code, Message: fmt.Sprintf("%s: got status %d, want %d", what, got, http.StatusOK), Err: Status(got)}
}

// cause drops the URL that net/http puts around an error: that of a redirect may carry a signature as good as a
// password.
func cause(err error) error {
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err
	}
	return err
}

// Brief keeps a stranger's text short and on one line. 200 bytes are enough for any error of package net.
func Brief(err error) string {
	const most = 200
	text := strings.ToValidUTF8(strings.Join(strings.Fields(err.Error()), " "), "")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
