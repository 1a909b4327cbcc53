package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/assay-dev/assay/rego/cip"
)

const (
	// maxPolicy bounds a policy behind a URL; etcd would hold no more of one.
	maxPolicy = 1 << 20
	// maxRedirects is generous: releases are redirected once or twice.
	maxRedirects = 5
)

var (
	errNoTransport = errors.New("no way to fetch policies was given")
	errNotText     = errors.New("got bytes that are not UTF-8 text")
	errNoContent   = errors.New("got no content")
)

func remoteReference(r *cip.RemotePolicy) reference {
	return reference{url: string(r.URL), sum: strings.ToLower(r.Sha256sum)}
}

// remote fetches a policy that has to have its digest.
func (r *Resolver) remote(ctx context.Context, ref reference) (string, error) {
	u, err := url.Parse(ref.url)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", errors.New("policy url: host and https scheme are expected")
	}
	// A query may be a credential, and this text becomes part of a denial.
	place := "https://" + u.Host + u.EscapedPath()
	named := "policy url " + place
	body, err := r.get(ctx, u)
	var status statusError
	switch {
	case errors.As(err, &status):
		return "", fmt.Errorf("%w: %s", err, place)
	case err != nil:
		return "", fmt.Errorf("%s: %w", named, err)
	}
	sum := sha256.Sum256(body)
	if got := hex.EncodeToString(sum[:]); got != ref.sum {
		return "", fmt.Errorf("failed to check sha256sum from policy remote: %s got %s: %s", ref.sum, got, place)
	}
	if !utf8.Valid(body) || strings.ContainsRune(string(body), 0) {
		return "", fmt.Errorf("%s: %w", named, errNotText)
	}
	if len(body) == 0 {
		return "", fmt.Errorf("%s: %w", named, errNoContent)
	}
	return string(body), nil
}

// statusError is upstream's text for an answer that is none.
type statusError int

// Error implements error.
func (s statusError) Error() string {
	return fmt.Sprintf("failed to fetch content from policy url with code %d", int(s))
}

func (r *Resolver) get(ctx context.Context, u *url.URL) ([]byte, error) {
	if r.transport == nil {
		return nil, errNoTransport
	}
	client := &http.Client{Transport: r.transport, CheckRedirect: stayOnHTTPS}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		// Its own text repeats the URL, query and all.
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxPolicy {
		return nil, fmt.Errorf("got more than %d bytes", maxPolicy)
	}
	return body, nil
}

func stayOnHTTPS(next *http.Request, via []*http.Request) error {
	switch {
	case next.URL.Scheme != "https":
		return fmt.Errorf("got a redirect to %s, want https", next.URL.Scheme)
	case len(via) > maxRedirects:
		return fmt.Errorf("got more than %d redirects", maxRedirects)
	}
	return nil
}
