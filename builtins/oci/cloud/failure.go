package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

var errNoToken = errors.New("got an answer without a token")

// Failure is why there is no token for a host.
type Failure struct {
	Cloud Cloud
	Host  string
	Code  edge.Code
	// Status is what the cloud answered with, 0 where it did not, and Reason its word for it, if it had one.
	Status int
	Reason string
	Err    error
}

// Error says all that is known, in one line of bounded length.
func (f *Failure) Error() string {
	text := strings.ToValidUTF8(strings.Join(strings.Fields(f.Err.Error()), " "), "")
	return fmt.Sprintf("%s: %.1000s", f.what(), text)
}

// Unwrap returns the code and the cause.
func (f *Failure) Unwrap() []error { return []error{f.Code, f.Err} }

func (f *Failure) what() string { return "credentials of " + string(f.Cloud) + " for " + f.Host }

// refusal is what is said to whoever asked: nothing of accounts, roles or bodies.
func (f *Failure) refusal() *edge.Error {
	said := "got nothing in the environment to ask with"
	own := (*edge.Error)(nil)
	switch {
	case errors.As(f.Err, &own):
		said = own.Message
	case f.Code == edge.Timeout:
		said = "got no answer in time"
	case f.Status != 0 && f.Reason != "":
		said = fmt.Sprintf("got status %d (%s), want a token", f.Status, f.Reason)
	case f.Status != 0:
		said = fmt.Sprintf("got status %d, want a token", f.Status)
	case f.Code == edge.Unreachable:
		said = "got no answer"
	case f.Code == edge.Malformed:
		said = "got an answer without a token"
	}
	return &edge.Error{Code: f.Code, Message: f.what() + ": " + said, Err: f}
}

// answered is an error of a cloud with what its library knows of the answer.
type answered struct {
	status int
	reason string
	err    error
}

func (a *answered) Error() string { return a.err.Error() }
func (a *answered) Unwrap() error { return a.err }

// word is what a reason may be: a name, and no text of anybody.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

// failure gives what went wrong its code.
func (h host) failure(ctx context.Context, err error) *Failure {
	f := &Failure{Cloud: h.cloud, Host: h.name, Code: edge.Unauthorized, Err: err}
	if a := (*answered)(nil); errors.As(err, &a) {
		f.Status = a.status
		if word.MatchString(a.reason) {
			f.Reason = a.reason
		}
	}
	own := (*edge.Error)(nil)
	switch {
	case errors.As(err, &own):
		f.Code = own.Code
	case f.Status == http.StatusTooManyRequests, strings.Contains(f.Reason, "Throttl"), strings.Contains(f.Reason, "TooManyRequests"):
		f.Code = edge.RateLimited
	case f.Status >= http.StatusInternalServerError:
		f.Code = edge.Unreachable
	case f.Status != 0:
		f.Code = edge.Unauthorized
	case ctx.Err() != nil:
		f.Code = edge.Timeout
	case errors.Is(err, errNoToken):
		f.Code = edge.Malformed
	default:
		f.Code = unanswered(err)
	}
	return f
}

// unanswered tells a network that failed from an identity that is missing.
func unanswered(err error) edge.Code {
	var (
		request *url.Error
		network *net.OpError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return edge.Timeout
	case errors.As(err, &request), errors.As(err, &network):
		return edge.Unreachable
	}
	return edge.Unauthorized
}
