package edge

import (
	"net/netip"
	"net/url"
	"testing"
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
		open, closed := Guard{Private: true}.allow("h", ip), Guard{}.allow("h", ip)
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
		if err := (Guard{Private: true}).Realm(from, challenge); (err == nil) != want {
			t.Errorf("%s: got error %v, want allowed to be %t", challenge, err, want)
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
		if got := Near(host); got != want {
			t.Errorf("%s: got near %t, want %t", host, got, want)
		}
	}
}
