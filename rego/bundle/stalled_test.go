package bundle

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestABodyThatStallsEnds: OPA looks for nothing newer until it does.
func TestABodyThatStallsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bounded{bounds: &bounds{limits: archive.Limits{Compressed: 100}}, next: roundTrip(func(request *http.Request) (*http.Response, error) {
			body, server := io.Pipe()
			go func() { _, _ = io.WriteString(server, "begun") }()
			return &http.Response{StatusCode: http.StatusOK, Body: body, Request: request}, nil
		})}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/main.tar.gz", nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		response, err := b.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "got 5 bytes in 2m0s, want all of it") || time.Since(began) != longestBody {
			t.Errorf("got %v after %s, want an end after %s", err, time.Since(began), longestBody)
		}
	})
}
