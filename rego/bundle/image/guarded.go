package image

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// guarded sends requests with the credentials of a service, to whom these are for.
type guarded struct {
	base    http.RoundTripper // nil is the default one
	prepare func(*http.Request) error
	home    *url.URL
}

// RoundTrip implements [http.RoundTripper].
func (g *guarded) RoundTrip(request *http.Request) (*http.Response, error) {
	home := request.URL.Scheme == g.home.Scheme && strings.EqualFold(request.URL.Host, g.home.Host)
	if !home && request.URL.Scheme != "https" && (g.home.Scheme == "https" || !strings.EqualFold(request.URL.Hostname(), g.home.Hostname())) {
		return nil, fmt.Errorf("led to %s://%s: want https from what is not %s", request.URL.Scheme, request.URL.Host, g.home.Host)
	}
	request = request.Clone(request.Context()) // a transport changes none that it is given
	switch led := request.Response != nil; {
	case led && !home:
		request.Header.Del("Authorization")
	case request.Header.Get("Authorization") == "":
		if err := g.prepare(request); err != nil {
			return nil, fmt.Errorf("credentials of the service: %w", err)
		}
	}
	base := g.base
	if base == nil {
		base = http.DefaultTransport
	}
	return base.RoundTrip(request)
}
