package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

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
	resp, err := s.open(ctx, r)
	if err != nil {
		return page{}, err
	}
	defer closeBody(resp)
	release, err := s.flying.acquire(ctx, r.what, r.weight(resp))
	if err != nil {
		return page{}, err
	}
	defer release()
	body, err := r.body(resp)
	return page{body: body, header: resp.Header}, err
}

// stream is read for what is larger than what is kept: use reads the body, up to one byte more than it may have.
func (s *session) stream(ctx context.Context, r request, use func(io.Reader) error) error {
	resp, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	defer closeBody(resp)
	return use(io.LimitReader(streamed{resp.Body, r.what}, r.most+1))
}

// streamed gives what breaks off a code.
type streamed struct {
	body io.Reader
	what string
}

func (s streamed) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, &Error{Code: Unreachable, Message: s.what + ": got a body that was cut short", Err: err}
	}
	return n, edge.Refusal(s.what, err)
}

// open asks for r, and refuses every answer that says itself that it is not what is wanted.
func (s *session) open(ctx context.Context, r request) (*http.Response, error) {
	at := url.URL{Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(), Path: "/v2/" + s.repo.RepositoryStr() + "/" + r.path, RawQuery: r.query}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, edge.Refusal(r.what, err)
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, edge.Refusal(r.what, err)
	}
	err = r.announced(resp)
	if resp.StatusCode != http.StatusOK {
		err = edge.RefuseStatus(r.what, resp.StatusCode)
	}
	if err != nil {
		closeBody(resp)
		return nil, err
	}
	return resp, nil
}

// announced refuses a body by its length.
func (r request) announced(resp *http.Response) error {
	if n := resp.ContentLength; n > r.most || r.exact && n >= 0 && n != r.most {
		return edge.Refuse(r.surplus(), "%s: got %d bytes, want %s", r.what, n, r.size())
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
	body, err := io.ReadAll(io.LimitReader(streamed{resp.Body, r.what}, r.most+1))
	switch n := int64(len(body)); {
	case err != nil:
		return nil, err
	case n > r.most:
		return nil, edge.Refuse(r.surplus(), "%s: got more than %d bytes, want %s", r.what, r.most, r.size())
	case r.exact && n != r.most:
		return nil, edge.Refuse(DigestMismatch, "%s: got %d bytes, want %s", r.what, n, r.size())
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
	if resp.ContentLength >= 0 && resp.ContentLength <= edge.MaxOther {
		_, _ = io.CopyN(io.Discard, resp.Body, edge.MaxOther)
	}
	_ = resp.Body.Close()
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
			return "", edge.Refuse(Malformed, "next page: got a link without a query")
		}
		return at.RawQuery, nil
	}
	return "", nil
}
