package world

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Transport answers requests to the world's registries, by their names and in the
// process, over http and https alike. No other host is reached: a request to one
// is an error, and nothing is dialled.
func (w *World) Transport() http.RoundTripper { return transport{w.host} }

type transport struct{ host *host }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	content, ok := t.host.registries[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("got no registry of that name in the world, and no network beside it")
	}
	got := newAnswer()
	t.host.answer(got, r.Clone(r.Context()), r.URL.Host+r.URL.RequestURI(), content)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body := got.body.Bytes()
	if r.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{
		Status: http.StatusText(got.status), StatusCode: got.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: got.header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}
