package oci

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	const public, private, never = "public", "private", "never"
	for address, want := range map[string]string{
		"8.8.8.8": public, "140.82.112.33": public, "2606:4700::1": public, "::ffff:8.8.8.8": public, "64:ff9b::808:808": public,
		"2002:808:808::1": public, "172.32.0.1": public, "100.128.0.1": public, "192.0.1.1": public,

		"127.0.0.1": private, "127.9.9.9": private, "::1": private, "10.0.0.1": private, "172.16.0.1": private, "192.168.1.1": private,
		"100.64.0.1": private, "100.100.100.201": private, "192.0.0.1": private, "198.18.0.1": private, "fd12::1": private, "fc00::1": private,
		"fec0::1": private, "::ffff:127.0.0.1": private, "::ffff:10.0.0.1": private, "64:ff9b::7f00:1": private, "::127.0.0.1": private,
		"2002:7f00:1::": private, "2002:a00:1::": private, "::1%eth0": private,

		"0.0.0.0": never, "0.1.2.3": never, "::": never, "169.254.169.254": never, "169.254.1.1": never, "fe80::1": never, "fe80::1%eth0": never,
		"224.0.0.1": never, "239.255.255.255": never, "ff02::1": never, "255.255.255.255": never, "240.0.0.1": never,
		"100.100.100.200": never, "168.63.129.16": never, "192.0.0.192": never, "fd00:ec2::254": never, "fd00:ec2::254%x": never, "fd20:ce::254": never,
		"::ffff:169.254.169.254": never, "::ffff:0.0.0.0": never, "64:ff9b::a9fe:a9fe": never, "64:ff9b:1::1": never, "::169.254.169.254": never,
		"2002:a9fe:a9fe::": never, "2001::1": never,
	} {
		ip := netip.MustParseAddr(address)
		open, closed := guard{private: true}.allow("h", ip), guard{}.allow("h", ip)
		got := public
		switch {
		case open != nil && closed != nil:
			got = never
		case closed != nil:
			got = private
		case open != nil:
			got = "allowed only where private registries are not"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestGuardReadsTheRealmOfBearerChallengesOnly(t *testing.T) {
	t.Parallel()
	from := &url.URL{Scheme: "https", Host: "registry.example"}
	for challenge, want := range map[string]bool{
		`Bearer realm="https://auth.example/token",service="x"`:    true,
		`Bearer realm="http://auth.example/token"`:                 false,
		`bearer service="x", realm="https://10.0.0.1/token"`:       false,
		`Basic realm="a title"`:                                    true,
		`Basic realm="a title", Bearer realm="https://127.0.0.1/"`: false,
		`Negotiate`: true,
		``:          true,
	} {
		if err := (guard{private: true}).realm(from, challenge); (err == nil) != want {
			t.Errorf("%s: got error %v, want allowed to be %t", challenge, err, want)
		}
	}
}

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

// TestForbiddenPlainHTTP: where ggcr would speak plain HTTP to a registry that is not near, it is not spoken to.
func TestForbiddenPlainHTTP(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost:5000": true, "x.localhost": true, "127.0.0.1:5000": true, "127.9.9.9": true, "10.0.0.1": true, "[::1]:5000": true, "[fd00::1]": true,
		"127.0.0.1.evil.example:5000": false, "10.0.0.1.evil.example": false, "notlocalhost:5000": false, "localhost.example": false,
		"8.8.8.8:5000": false, "[2001:db8::1]": false, "169.254.169.254": false, "ghcr.io": false,
	} {
		if got := near(host); got != want {
			t.Errorf("%s: got near %t, want %t", host, got, want)
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
	f.Add([]byte(`{"schemaVersion":2,"layers":[{"digest":"sha256:00","size":-1,"annotations":{"a":"b"}}]}`), `</v2/x?last=y>; rel="next"`)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]}`), `>;rel=next`)
	f.Add([]byte(`[]`), `<:>; rel=next`)
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		if m, err := parseImage("x", body); err == nil {
			for _, d := range m.Layers {
				if d.check("x", 100) == nil && (d.Size < 0 || d.Size > 100 || len(d.Digest) != 71) {
					t.Errorf("got descriptor %+v accepted", d)
				}
			}
		}
		_, _ = parseIndex("x", body)
		_, _ = nextPage(http.Header{"Link": {text}})
		_ = guard{}.realm(&url.URL{Scheme: "https", Host: "h"}, text)
		if isBundle(text) && !strings.HasPrefix(text, "application/vnd.dev.sigstore.bundle") {
			t.Errorf("got %q taken for a bundle", text)
		}
	})
}
