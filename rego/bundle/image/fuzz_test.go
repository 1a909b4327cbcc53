package image_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/assay-dev/assay/rego/bundle/image"
)

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// FuzzManifest: whatever a manifest says, few requests follow, all of them below the repository.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		`{"layers": [{"mediaType": "` + bundleType + `", "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000", "size": 1}]}`,
		`{"manifests": [{"digest": "sha256:../../x", "platform": {"os": "unknown", "architecture": "unknown"}}]}`, `{"manifests": [{}]}`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		asked := 0
		client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked++
			if !strings.HasPrefix(r.URL.Path, "/v2/p/") || strings.Contains(r.URL.Path, "..") || r.URL.Host != "registry.example.com" {
				t.Errorf("got a request for %s", r.URL)
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
		})}
		repository, err := image.New("r/p@"+digest.FromBytes(text).String(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		service := image.Service{URL: "https://registry.example.com", Client: client, Prepare: func(*http.Request) error { return nil }}
		if got, err := repository.Fetch(t.Context(), service, nil); err == nil && digest.FromBytes(got.Content).String() != got.Digest {
			t.Errorf("got %+v, want the bytes of the digest", got)
		}
		if asked > 33 {
			t.Errorf("got %d requests, want few", asked)
		}
	})
}
