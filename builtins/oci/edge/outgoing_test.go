package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

func TestOutgoingRequestsPassTheGuard(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			_, _ = io.Copy(w, io.LimitReader(endless{}, 5<<20))
			return
		}
		_, _ = io.WriteString(w, "fine")
	}))
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		name      string
		private   bool
		transport *http.Transport
		path      string
		want      string // the body, or a part of the error
	}{
		{"of a private address where they may", true, nil, "/", "fine"},
		{"of a private address", false, nil, "/", "forbidden_host"},
		{"of a transport with its own dialer", false, http.DefaultTransport.(*http.Transport).Clone(), "/", "forbidden_host"},
		{"of such a one where they may", true, http.DefaultTransport.(*http.Transport).Clone(), "/", "fine"},
		{"of an answer that is too long", true, nil, "/long", "more than 4194304 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := &http.Client{Transport: edge.Outgoing(tt.private)(tt.transport)}
			defer client.CloseIdleConnections()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			response, err := client.Do(request)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(response.Body)
				got = string(body)
				_ = response.Body.Close()
			}
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %.300s, want %s", got, tt.want)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
