package edge

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"syscall"
	"time"
)

// dialTimeout is below any sensible deadline of an admission webhook (10 s by default), so that a second address of
// a host still has its turn.
const dialTimeout = 5 * time.Second

// Guard decides which addresses may be dialled. It is asked by the dialer itself, once per address and after DNS,
// so a name, a redirect or a token realm cannot lead around it.
type Guard struct {
	Private  bool          // loopback and private networks are allowed
	Resolver *net.Resolver // nil outside tests
}

// Dial connects to host, which is host:port, where the guard allows it.
func (g Guard) Dial(ctx context.Context, network, host string) (net.Conn, error) {
	d := net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: 30 * time.Second,
		Resolver:  g.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			return g.check(host, address)
		},
	}
	return d.DialContext(ctx, network, host)
}

// check answers whether address may be dialled for host; both are host:port.
func (g Guard) check(host, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return Refuse(ForbiddenHost, "host %s: got %s, want an IP address", host, address)
	}
	return g.allow(host, to.Addr())
}

// allow answers whether ip may be dialled for host.
func (g Guard) allow(host string, ip netip.Addr) error {
	ip = embedded(ip.WithZone("").Unmap())
	switch {
	case inAny(forbidden(), ip) || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast():
		return Refuse(ForbiddenHost, "host %s: got address %s, which is never dialled", host, ip)
	case !g.Private && internal(ip):
		return Refuse(ForbiddenHost, "host %s: got address %s, want a public one (private registries are not allowed)", host, ip)
	}
	return nil
}

// literal is allow for a host that is written as an address, and nil for names, which the dialer will ask about.
func (g Guard) literal(host string) error {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return g.allow(host, ip)
}

// forbidden lists what is dialled for nobody, beside link-local, multicast and unspecified addresses.
func forbidden() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),          // "this network": reaches the host itself on some systems
		netip.MustParsePrefix("240.0.0.0/4"),        // reserved, and broadcast
		netip.MustParsePrefix("100.100.100.200/32"), // metadata: Alibaba
		netip.MustParsePrefix("168.63.129.16/32"),   // metadata: Azure
		netip.MustParsePrefix("192.0.0.192/32"),     // metadata: Oracle
		netip.MustParsePrefix("fd00:ec2::/32"),      // metadata: AWS
		netip.MustParsePrefix("fd20:ce::254/128"),   // metadata: Google
		netip.MustParsePrefix("64:ff9b:1::/48"),     // local NAT64 hides an IPv4 address where only the network knows
		netip.MustParsePrefix("2001::/32"),          // Teredo: so does this
	}
}

// internal reports whether ip belongs to this machine or to a private network.
func internal(ip netip.Addr) bool {
	return ip.IsLoopback() || ip.IsPrivate() || inAny([]netip.Prefix{
		netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
		netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
		netip.MustParsePrefix("fec0::/10"),     // site-local
	}, ip)
}

// embedded returns the IPv4 address that an IPv6 address stands for, or ip itself.
func embedded(ip netip.Addr) netip.Addr {
	if !ip.Is6() || ip.IsUnspecified() || ip.IsLoopback() {
		return ip
	}
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip), netip.MustParsePrefix("::/96").Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(ip): // 6to4
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

func inAny(prefixes []netip.Prefix, ip netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// Step answers whether a request to from may be followed by one to next.
func (g Guard) Step(from, next *url.URL) error {
	if next.Scheme != "https" && next.Scheme != from.Scheme {
		return Refuse(ForbiddenHost, "redirect from %s://%s to %s://%s: want https", from.Scheme, from.Host, next.Scheme, next.Host)
	}
	return g.literal(next.Hostname())
}

// bearerRealm finds the token realm in a WWW-Authenticate header. The realm of a Basic challenge is a mere title.
var bearerRealm = regexp.MustCompile(`(?is)\bbearer\s.*?\brealm="([^"]*)"`)

// Realm answers whether the registry at from may send us to the token realm of its challenge. ggcr refuses, as we
// do, a realm that is a private address other than the registry itself, private registries or not, but without a
// code.
func (g Guard) Realm(from *url.URL, challenge string) error {
	found := bearerRealm.FindStringSubmatch(challenge)
	if found == nil {
		return nil
	}
	next, err := url.Parse(found[1])
	if err != nil {
		return Refuse(Malformed, "token realm of %s: got a realm that is not a URL", from.Host)
	}
	if next.Host == from.Host {
		return g.Step(from, next)
	}
	return Guard{}.Step(from, next)
}
