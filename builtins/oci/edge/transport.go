package edge

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// MaxOther bounds every body that is neither manifest nor blob: pings, tokens, errors. ggcr reads no more of
	// them than this.
	MaxOther = 64 << 10
	// maxRedirects: registries redirect a blob once, to their storage. The rest is generosity.
	maxRedirects = 5
	// maxHeaders is far beyond the 1 KB or so that registries send.
	maxHeaders = 64 << 10
)

// Pool is one connection pool, under the sessions of all tenants. It knows no credentials.
type Pool struct {
	Guard Guard
	Roots *x509.CertPool // nil for the system's
	// Certificate is what the client shows where it is asked for one, nil for none.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	Concurrency int // connections that are kept per host
}

// Transport builds the pool.
func (p Pool) Transport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  nil, // a proxy would dial in our place, unguarded
		DialContext:            p.Guard.Dial,
		TLSClientConfig:        &tls.Config{RootCAs: p.Roots, GetClientCertificate: p.Certificate, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // bytes are hashed as sent, and a bomb stays as small as it came
		MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    p.Concurrency,
		IdleConnTimeout:        90 * time.Second,
	}
}

// Guarded is a way to URLs that are no registry's, such as those of policies and trust roots: every dial and every
// redirect passes the guard, no proxy is used and nothing is decompressed. private allows loopback and private
// networks; link-local and metadata addresses are never dialled. Whoever reads a body bounds it, and a client that
// follows redirects counts them with [LimitRedirects].
func Guarded(private bool, roots *x509.CertPool) http.RoundTripper {
	g := Guard{Private: private}
	s := NewSession(Pool{Guard: g, Roots: roots, Concurrency: 4}.Transport(), g)
	s.Begin()
	return s
}

// Session is the innermost layer of one session, below ggcr's authentication: it sees each single answer, redirects
// and tokens included. Until [Session.Begin] it lets challenges through and bounds what ggcr reads; afterwards
// challenges are struck out, so that ggcr begins no token exchange with whomever a redirect led to, and whoever reads
// the bodies bounds them.
type Session struct {
	inner http.RoundTripper
	guard Guard
	home  string // the one host that is asked with credentials, see [Homebound]
	begun atomic.Bool
}

// NewSession is a session that has yet to begin.
func NewSession(inner http.RoundTripper, guard Guard) *Session {
	return &Session{inner: inner, guard: guard}
}

// Begin ends the exchange of challenges and tokens.
func (s *Session) Begin() { s.begun.Store(true) }

// RoundTrip implements http.RoundTripper.
func (s *Session) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := s.stays(req); err != nil {
		return nil, err
	}
	resp, err := s.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := s.vet(req.URL, resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (s *Session) vet(from *url.URL, resp *http.Response) error {
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 {
		next, err := from.Parse(location)
		if err != nil {
			return Refuse(Malformed, "redirect from %s: got a location that is not a URL", from.Host)
		}
		if err := s.guard.Step(from, next); err != nil {
			return err
		}
	}
	if s.begun.Load() {
		resp.Header.Del("WWW-Authenticate")
		return nil
	}
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if err := s.guard.Realm(from, challenge); err != nil {
			return err
		}
	}
	if resp.ContentLength > MaxOther {
		return Refuse(TooLarge, "answer of %s: got %d bytes, want at most %d", from.Host, resp.ContentLength, MaxOther)
	}
	resp.Body = &bounded{ReadCloser: resp.Body, host: from.Host, left: MaxOther}
	return nil
}

// bounded is a body that fails, rather than ends, where it exceeds its bound.
type bounded struct {
	io.ReadCloser
	host string
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, Refuse(TooLarge, "answer of %s: got more than %d bytes", b.host, MaxOther)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, Refuse(TooLarge, "answer of %s: got more than %d bytes", b.host, MaxOther)
	}
	return n, err
}

// LimitRedirects is a CheckRedirect of http.Client.
func LimitRedirects(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return Refuse(Malformed, "redirects: got more than %d", maxRedirects)
	}
	return nil
}
