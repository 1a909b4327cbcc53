package image

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// guarded sends requests with the credentials of a service, to whom these are for.
type guarded struct {
	base    http.RoundTripper // nil is the default one
	prepare func(*http.Request) error
	home    *url.URL

	once sync.Once
	away *http.Transport // without the certificates of a client, nil until something leads away
}

// transport leaves out the certificates of a client where a request is not home: they are for the host of the
// service alone, and another one would only have to ask.
func (g *guarded) transport(home bool) (http.RoundTripper, error) {
	if g.base == nil {
		return http.DefaultTransport, nil
	}
	if home {
		return g.base, nil
	}
	of, ok := g.base.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("got a transport %T, want one whose certificates can be left out", g.base)
	}
	g.once.Do(func() {
		g.away = of.Clone()
		if with := g.away.TLSClientConfig; with != nil {
			with.Certificates, with.GetClientCertificate = nil, nil
		}
	})
	return g.away, nil
}

func (g *guarded) close() {
	g.once.Do(func() {})
	if g.away != nil {
		g.away.CloseIdleConnections()
	}
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
	base, err := g.transport(home)
	if err != nil {
		return nil, fmt.Errorf("led to %s: %w", request.URL.Host, err)
	}
	return base.RoundTrip(request)
}
