package tagged

import (
	"net/http"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

// careful is the innermost layer of a session: it sees each single answer, redirects and challenges included. The
// operator chose the registry, and nobody chose where that leads us.
type careful struct {
	inner    http.RoundTripper
	registry string
}

// RoundTrip implements http.RoundTripper.
func (c careful) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Response != nil && req.URL.Host != c.registry && req.Header.Get("Authorization") != "" {
		return nil, edge.Refuse(edge.ForbiddenHost, "redirect to %s: got a request with credentials, which are for %s", req.URL.Host, c.registry)
	}
	resp, err := c.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := c.vet(req, resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (c careful) vet(req *http.Request, resp *http.Response) error {
	guard := edge.Guard{Private: true}
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 {
		next, err := req.URL.Parse(location)
		if err != nil {
			return edge.Refuse(edge.Malformed, "redirect from %s: got a location that is not a URL", req.URL.Host)
		}
		if err := guard.Step(req.URL, next); err != nil {
			return err
		}
	}
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if err := guard.Realm(req.URL, challenge); err != nil {
			return err
		}
	}
	return nil
}
