package oci_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
)

// handed answers every request in the process, if it is to the host.
type handed struct {
	http.Handler
	host string
}

func (h handed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != h.host {
		return nil, errors.New("no such host")
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := recorder.Result()
	response.Request = r
	return response, nil
}

// TestTransportTakesThePlaceOfTheNetwork: with registries at hand nothing is dialled.
func TestTransportTakesThePlaceOfTheNetwork(t *testing.T) {
	t.Parallel()
	client, err := oci.New(oci.WithTransport(handed{host: "ghcr.io", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/":
		case "/v2/app/manifests/away":
			http.Redirect(w, r, "https://169.254.169.254/latest", http.StatusFound)
		default:
			_, _ = w.Write([]byte(`{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}`))
		}
	})}))
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]error{
		"ghcr.io/app:v1":        nil,
		"quay.io/app:v1":        oci.Unreachable,
		"127.0.0.1:5000/app:v1": oci.Unreachable,
		"ghcr.io/app:away":      oci.ForbiddenHost,
	} {
		if _, err := client.Resolve(t.Context(), oci.Credentials{}, ref); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", ref, err, want)
		}
	}
}
