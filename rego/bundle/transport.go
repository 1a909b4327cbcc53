package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/tracing"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/redact"
)

// Register lets every manager bound what it downloads. OPA has one place for what wraps the
// transports of its clients, which is the process's: it is to be called once, by the
// program's main function.
func Register() { tracing.RegisterHTTPTracing(wrapper{}) }

// wrapper wraps the transports of managers of this package, and no others.
type wrapper struct{}

// NewTransport implements [tracing.HTTPTracingService].
func (wrapper) NewTransport(next http.RoundTripper, options tracing.Options) http.RoundTripper {
	for _, option := range options {
		if of, ok := option.(*bounds); ok {
			return redact.Transport{Next: &bounded{next: next, bounds: of}}
		}
	}
	return next
}

// NewHandler implements [tracing.HTTPTracingService].
func (wrapper) NewHandler(next http.Handler, _ string, _ tracing.Options) http.Handler { return next }

// bounds are those of what services send.
type bounds struct {
	limits archive.Limits
	// within is how long a body may take once its header is there; 0 is [longestBody].
	within    time.Duration
	services  services
	directory string // what OPA persists is there
	apart     configured.Apart

	// watch has statuses heard, of a plugin that OPA may just have made.
	watch func()
	// admits is asked about each discovery bundle, and may refuse it; applied is told when its
	// configuration is in force. Nil is nobody.
	admits  func(archive.Discovery) error
	applied func(archive.Discovery)

	mu        sync.Mutex
	active    *routes
	staged    *routes         // nil where nothing is
	refused   bool            // OPA said that it did not take what is staged
	discovery found           // the zero value where there is none
	fetched   map[string]bool // which of the bundles that OPA persists came since the start
	came      map[string]came // what of them is not kept yet
	looked    map[string]bool // which of those on the disk were looked at, by name
	unused    []string        // what is wrong with them
}

func newBounds(limits archive.Limits, directory string) *bounds {
	return &bounds{
		limits: limits, directory: directory, active: &routes{}, services: services{busy: map[string]chan struct{}{}},
		fetched: map[string]bool{}, came: map[string]came{}, looked: map[string]bool{},
	}
}

// longestBody is long enough for a bundle as large as may be over a slow line. Until it
// ends, nothing newer is looked for.
const longestBody = 2 * time.Minute

// bounded reads a bundle whole, within bounds, before OPA sees any of it.
type bounded struct {
	next http.RoundTripper
	*bounds
}

// RoundTrip implements [http.RoundTripper].
func (b *bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	b.hear(request.Context())
	if request.URL.Host == feedHost {
		return b.feed(request)
	}
	b.asks(request.URL.String())
	if from := request.Response; from != nil && from.Request != nil && !sameHost(from.Request, request) {
		return nil, fmt.Errorf("redirected to %s://%s: want it from %s, where the credentials are for", request.URL.Scheme, request.URL.Host, from.Request.URL.Host)
	}
	response, err := b.next.RoundTrip(request)
	if err != nil || request.Method != http.MethodGet || response.StatusCode != http.StatusOK {
		return response, err
	}
	data, err := b.read(request.Context(), response)
	if err != nil {
		return nil, err
	}
	if err := b.shaped(request, data, response.Header.Get("ETag")); err != nil {
		return nil, fmt.Errorf("bundle from %s: %w", request.URL.Redacted(), err)
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return response, nil
}

// sameHost says whether a redirect stays where it began, and does not give up TLS.
func sameHost(from, to *http.Request) bool {
	return from.URL.Host == to.URL.Host && (from.URL.Scheme == to.URL.Scheme || to.URL.Scheme == "https")
}

// read reads a body whole. One that stalls is closed under the reader.
func (b *bounded) read(ctx context.Context, response *http.Response) ([]byte, error) {
	within := b.within
	if within == 0 {
		within = longestBody
	}
	stalled := time.AfterFunc(within, func() { _ = response.Body.Close() })
	data, err := io.ReadAll(io.LimitReader(response.Body, b.limits.Compressed+1))
	inTime := stalled.Stop()
	_ = response.Body.Close()
	switch {
	case !inTime:
		return nil, fmt.Errorf("bundle from %s: got %d bytes in %s, want all of it", response.Request.URL.Redacted(), len(data), within)
	case err != nil:
		return nil, fmt.Errorf("bundle from %s: after %d bytes: %w", response.Request.URL.Redacted(), len(data), err)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case int64(len(data)) > b.limits.Compressed:
		return nil, fmt.Errorf("bundle from %s: got more than %d bytes", response.Request.URL.Redacted(), b.limits.Compressed)
	}
	return data, nil
}

// hear has statuses be heard before OPA gets the first bundle, of which it tells once. It does not wait where
// OPA ends the request: that may be what the lock of the plugin is held for.
func (b *bounds) hear(ctx context.Context) {
	if b.watch == nil {
		return
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		b.watch()
	}()
	select {
	case <-heard:
	case <-ctx.Done():
	}
}
