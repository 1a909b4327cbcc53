package edge

import (
	"errors"
	"io"
	"net/http"
)

// maxOutgoing bounds what an outgoing request may be answered with: as much as a manifest.
const maxOutgoing = 4 << 20

var errOutgoing = errors.New("got a body of more than 4194304 bytes")

// Outgoing puts the requests of a client that is not ours, such as OPA's http.send, behind the
// guard: every dial and every redirect passes it, no proxy and no socket of the machine is used,
// and no answer is longer than 4 MiB. private allows loopback and private networks; link-local
// and metadata addresses are never dialled.
func Outgoing(private bool) func(*http.Transport) http.RoundTripper {
	guard := Guard{Private: private}
	shared := Pool{Guard: guard, Concurrency: 4}.Transport()
	return func(t *http.Transport) http.RoundTripper {
		if t == nil {
			return outgoing{shared}
		}
		t.DialContext, t.DialTLSContext, t.Proxy = guard.Dial, nil, nil
		return outgoing{t}
	}
}

type outgoing struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o outgoing) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.inner.RoundTrip(request)
	if err == nil {
		response.Body = &boundedBody{response.Body, maxOutgoing}
	}
	return response, err
}

// boundedBody fails where a longer body would go on: the beginning of an answer is none.
type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errOutgoing
	}
	return n, err
}
