package oci

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

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
		repo, err := r.repository()
		if err != nil {
			t.Fatal(err)
		}
		if got := repo.Scheme(); got != want || repo.RegistryStr() != r.Registry || repo.RepositoryStr() != r.Repository {
			t.Errorf("%s: got %s://%s/%s, want %s", host, got, repo.RegistryStr(), repo.RepositoryStr(), want)
		}
	}
}

func TestCacheIsBoundedByCost(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c, err := newCache(10, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	k := func(s string) key { return key{about: s} }
	c.put(k("a"), answer{value: "a", cost: 4, ttl: forever})
	c.put(k("b"), answer{value: "b", cost: 4, ttl: time.Second})
	c.put(k("a"), answer{value: "a2", cost: 5, ttl: forever})
	c.put(k("too large"), answer{value: "x", cost: 11, ttl: forever})
	c.put(k("not kept"), answer{value: "x", cost: 1})
	if v, ok := c.get(k("a")); !ok || v != "a2" || c.cost != 9 || c.lru.Len() != 2 {
		t.Errorf("got %v, cost %d of %d entries, want a2, 9 of 2", v, c.cost, c.lru.Len())
	}
	c.put(k("c"), answer{value: "c", cost: 3, ttl: forever})
	if _, ok := c.get(k("b")); ok || c.cost != 8 {
		t.Errorf("got b kept %t at cost %d, want the least recently used gone at cost 8", ok, c.cost)
	}
	c.shorten(k("a"), "a", time.Second)
	c.shorten(k("a"), "a2", forever)
	c.drop(k("a"), "a")
	c.drop(k("c"), "c")
	if _, ok := c.get(k("a")); !ok || c.cost != 5 {
		t.Errorf("got a kept %t at cost %d, want a newer value to survive at cost 5", ok, c.cost)
	}
}

func TestAKeptValueIsShortened(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c, err := newCache(10, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	k := key{about: "a"}
	c.put(k, answer{value: "a", cost: 1, ttl: time.Minute})
	now = now.Add(time.Second)
	c.shorten(k, "a", 2*time.Second)
	if _, ok := c.get(k); !ok || c.cost != 1 {
		t.Errorf("got kept %t at cost %d, want it kept at cost 1", ok, c.cost)
	}
	now = now.Add(time.Second)
	if _, ok := c.get(k); ok || c.cost != 0 {
		t.Errorf("got kept %t at cost %d, want it gone 2 s after it was put", ok, c.cost)
	}
}

func TestKeysCannotBeSpelledAlike(t *testing.T) {
	t.Parallel()
	a := key{tenant: "alice", call: "signatures", about: "x"}
	for _, b := range []key{{"alice signatures", "", "x"}, {`alice" "signatures`, "", "x"}, {"alice", "signatures x", ""}, {"", "alice", "x"}} {
		if a.String() == b.String() {
			t.Errorf("got the same key %s for %#v and %#v", a, a, b)
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
