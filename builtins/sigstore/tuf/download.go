package tuf

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	fetchTimeout  = 15 * time.Second
	mostRedirects = 5
)

// fetcher lets the updater, which takes no context, get files within one.
type fetcher func(address string, most int64) ([]byte, error)

// DownloadFile gets a file of at most that many bytes.
func (f fetcher) DownloadFile(address string, most int64, _ time.Duration) ([]byte, error) {
	return f(address, most)
}

func download(ctx context.Context, address string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Client{CheckRedirect: within}).Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		// The updater wants to know of 404: there is no newer root.
		return nil, &metadata.ErrDownloadHTTP{StatusCode: answer.StatusCode, URL: address}
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("got more than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return data, nil
}

// within lets a mirror redirect to itself alone. Who named it chose its host, be it a private one, and its
// dials are not guarded as those to registries are: it is not to choose others for us.
func within(next *http.Request, via []*http.Request) error {
	got, first := next.URL, via[0].URL
	same := got.Scheme == first.Scheme && got.Port() == first.Port()
	secured := first.Scheme == "http" && got.Scheme == "https"
	switch {
	case len(via) > mostRedirects:
		return fmt.Errorf("got more than %d redirects", mostRedirects)
	case got.Hostname() != first.Hostname() || !same && !secured:
		return fmt.Errorf("got a redirect to %s://%s, want none to elsewhere than %s://%s", got.Scheme, got.Host, first.Scheme, first.Host)
	}
	return nil
}
