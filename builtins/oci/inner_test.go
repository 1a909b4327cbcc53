package oci

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

func TestSchemes(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost:5000": "http", "127.0.0.1:5000": "http", "10.0.0.1:5000": "http", "192.168.0.1": "http", "x.localhost:5000": "http", "[::1]:5000": "http",
		"registry.local": "https", "registry.local:5000": "https", "registry:5000": "https", "ghcr.io": "https", "11.0.0.1:5000": "https",
		"127.0.0.1.evil.example:5000": "https", "10.0.0.1.evil.example": "https", "localhost.evil.example:5000": "https",
		"notlocalhost:5000": "https", "evil-localhost:5000": "https", "192.168.0.1.nip.io:5000": "https", "[2001:db8::1]:5000": "https",
	} {
		r, err := Parse(host + "/org/app")
		if err != nil {
			t.Fatal(err)
		}
		repo, err := r.repository(false)
		if err != nil {
			t.Fatal(err)
		}
		if got := repo.Scheme(); got != want || repo.RegistryStr() != r.Registry || repo.RepositoryStr() != r.Repository {
			t.Errorf("%s: got %s://%s/%s, want %s", host, got, repo.RegistryStr(), repo.RepositoryStr(), want)
		}
	}
}

func TestSlotsAreForgotten(t *testing.T) {
	t.Parallel()
	s := slots{each: 1, of: map[string]*slot{}}
	for range 3 {
		release, err := s.acquire(t.Context(), "registry.example")
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	if len(s.of) != 0 {
		t.Errorf("got %d registries remembered, want 0", len(s.of))
	}
}

// FuzzAnswers: nothing that a registry says breaks its reader.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"os":"linux"}`), `</v2/x?last=y>; rel="next"`)
	f.Add([]byte(`{}`), `>;rel=next`)
	f.Add([]byte(`[]`), `<:>; rel=next`)
	f.Add([]byte(`{"os":"windows","architecture":"amd64","os.version":"10","created":"2026-06-01T12:00:00Z","rootfs":{"diff_ids":["sha256:00"]}}`), "")
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		if _, config, err := parseConfig(body); err == nil && !json.Valid(config) {
			t.Errorf("got config file %s, want JSON", config)
		}
		_, _ = nextPage(http.Header{"Link": {text}})
		_ = edge.Guard{}.Realm(&url.URL{Scheme: "https", Host: "h"}, text)
	})
}
