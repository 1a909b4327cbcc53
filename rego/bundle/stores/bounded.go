package stores

import (
	"fmt"
	"io"
	"net/http"
)

// bounded is a way on which no body is longer than an object may be, whoever reads it.
type bounded struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > MaxObject && req.Method != http.MethodHead {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("answer of %s: got %d bytes, want at most %d: %w", req.URL.Host, resp.ContentLength, MaxObject, ErrTooLarge)
	}
	resp.Body = &body{ReadCloser: resp.Body, left: MaxObject}
	return resp, nil
}

// body fails, rather than ends, where it is longer.
type body struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("answer: got more than %d bytes: %w", MaxObject, ErrTooLarge)
	}
	return n, err
}

// readAll reads at most so many bytes; more is an error, since the beginning of an object is none.
func readAll(r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > most:
		return nil, fmt.Errorf("got more than %d bytes: %w", most, ErrTooLarge)
	}
	return data, nil
}
