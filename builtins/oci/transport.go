package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

const (
	// maxOther bounds every body that is neither manifest nor blob: pings, tokens, errors. ggcr reads no more of
	// them than this.
	maxOther = 64 << 10
	// maxRedirects: registries redirect a blob once, to their storage. The rest is generosity.
	maxRedirects = 5
	// maxHeaders is far beyond the 1 KB or so that registries send.
	maxHeaders = 64 << 10
)

// newTransport builds the one connection pool under all sessions. It knows no credentials.
func newTransport(o *options) http.RoundTripper {
	var rt http.RoundTripper = &http.Transport{
		Proxy:                  nil, // a proxy would dial in our place, unguarded
		DialContext:            o.guard.dial,
		TLSClientConfig:        &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // bytes are hashed as sent, and a bomb stays as small as it came
		MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    o.concurrency,
		IdleConnTimeout:        90 * time.Second,
	}
	if o.wrap != nil {
		rt = o.wrap(rt)
	}
	return rt
}

// edge is the innermost layer of one session, below ggcr's authentication: it sees each single answer, redirects
// and tokens included. While the session begins it lets challenges through and bounds what ggcr reads; afterwards
// challenges are struck out, so that ggcr begins no token exchange with whomever a redirect led to, and
// [session.read] bounds the bodies.
type edge struct {
	inner http.RoundTripper
	guard guard
	begun atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (e *edge) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := e.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := e.vet(req.URL, resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (e *edge) vet(from *url.URL, resp *http.Response) error {
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 {
		next, err := from.Parse(location)
		if err != nil {
			return refuse(Malformed, "redirect from %s: got a location that is not a URL", from.Host)
		}
		if err := e.guard.step(from, next); err != nil {
			return err
		}
	}
	if e.begun.Load() {
		resp.Header.Del("WWW-Authenticate")
		return nil
	}
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if err := e.guard.realm(from, challenge); err != nil {
			return err
		}
	}
	if resp.ContentLength > maxOther {
		return refuse(TooLarge, "answer of %s: got %d bytes, want at most %d", from.Host, resp.ContentLength, maxOther)
	}
	resp.Body = &bounded{ReadCloser: resp.Body, host: from.Host, left: maxOther}
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
		return 0, refuse(TooLarge, "answer of %s: got more than %d bytes", b.host, maxOther)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, refuse(TooLarge, "answer of %s: got more than %d bytes", b.host, maxOther)
	}
	return n, err
}

// session is an authenticated way to one repository with one tenant's credentials.
type session struct {
	repo   name.Repository
	client *http.Client
	begun  time.Time
	flying flying
}

// request is one GET below /v2/<repository>/.
type request struct {
	path   string // "manifests/latest"
	query  string
	accept string
	most   int64  // bytes that may be read
	exact  bool   // the body has that many bytes, no fewer
	what   string // for messages
}

// page is the body of a 200.
type page struct {
	body   []byte
	header http.Header
}

func (s *session) read(ctx context.Context, r request) (page, error) {
	at := url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/" + r.path, RawQuery: r.query}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return page{}, refusal(r.what, err)
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return page{}, refusal(r.what, err)
	}
	defer closeBody(resp)
	if resp.StatusCode != http.StatusOK {
		return page{}, refuseStatus(r.what, resp.StatusCode)
	}
	if err := r.announced(resp); err != nil {
		return page{}, err
	}
	release, err := s.flying.acquire(ctx, r.what, r.weight(resp))
	if err != nil {
		return page{}, err
	}
	defer release()
	body, err := r.body(resp)
	return page{body: body, header: resp.Header}, err
}

// announced refuses a body that says itself that it is not what is wanted.
func (r request) announced(resp *http.Response) error {
	if n := resp.ContentLength; n > r.most || r.exact && n >= 0 && n != r.most {
		return refuse(r.surplus(), "%s: got %d bytes, want %s", r.what, n, r.size())
	}
	return nil
}

// weight is how many bytes the body may have: net/http reads no more than a body announces.
func (r request) weight(resp *http.Response) int64 {
	if n := resp.ContentLength; n >= 0 {
		return min(n, r.most)
	}
	return r.most
}

// body reads up to the bound of r and one byte more, to know whether there would have been more.
func (r request) body(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.most+1))
	switch n := int64(len(body)); {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, refusal(r.what, err)
	case err != nil:
		return nil, &Error{Code: Unreachable, Message: r.what + ": got a body that was cut short", Err: err}
	case n > r.most:
		return nil, refuse(r.surplus(), "%s: got more than %d bytes, want %s", r.what, r.most, r.size())
	case r.exact && n != r.most:
		return nil, refuse(DigestMismatch, "%s: got %d bytes, want %s", r.what, n, r.size())
	}
	return body, nil
}

// surplus is the code for more bytes than wanted: those of another size than their descriptor's are not its.
func (r request) surplus() Code {
	if r.exact {
		return DigestMismatch
	}
	return TooLarge
}

func (r request) size() string {
	if r.exact {
		return fmt.Sprintf("the %d of its descriptor", r.most)
	}
	return fmt.Sprintf("at most %d", r.most)
}

// closeBody drains a short rest, such as the text of a 404, so that the connection can be used again.
func closeBody(resp *http.Response) {
	if resp.ContentLength >= 0 && resp.ContentLength <= maxOther {
		_, _ = io.CopyN(io.Discard, resp.Body, maxOther)
	}
	_ = resp.Body.Close()
}

func limitRedirects(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return refuse(Malformed, "redirects: got more than %d", maxRedirects)
	}
	return nil
}

// nextPage returns the query of the following page of a listing, or "" on the last one. Only the query of the link
// is used: a page of the same listing lies nowhere else.
func nextPage(header http.Header) (string, error) {
	for _, link := range header.Values("Link") {
		target, parameters, found := strings.Cut(link, ">")
		if !found || !strings.Contains(strings.ReplaceAll(parameters, `"`, ""), "rel=next") {
			continue
		}
		at, err := url.Parse(strings.TrimPrefix(strings.TrimSpace(target), "<"))
		if err != nil || at.RawQuery == "" {
			return "", refuse(Malformed, "next page: got a link without a query")
		}
		return at.RawQuery, nil
	}
	return "", nil
}
