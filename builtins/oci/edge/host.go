package edge

import (
	"net/netip"
	"strconv"
	"strings"
)

// CanonicalHost gives the one spelling of a registry that every policy sees, and whether there is one. A port is
// kept as written, also where it is the default one.
func CanonicalHost(written string) (host string, ok bool) {
	name, port, ported := cutPort(strings.ToLower(written))
	if ported && !plainPort(port) {
		return "", false
	}
	if literal, bracketed := strings.CutPrefix(name, "["); bracketed {
		ip, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || !strings.HasSuffix(literal, "]") || !ip.Is6() || ip.Zone() != "" {
			return "", false
		}
		name = "[" + ip.String() + "]"
	} else if !plainName(name) {
		return "", false
	}
	switch name {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		name = "index.docker.io" // Docker Hub by its other names
	case "localhost":
		if !ported {
			// Container runtimes read a host here, and policy-controller a repository of Docker Hub.
			return "", false
		}
	}
	if ported {
		name += ":" + port
	}
	return name, true
}

// cutPort splits a host at the colon before its port. The colons within brackets belong to the address.
func cutPort(host string) (name, port string, ported bool) {
	at := strings.LastIndexByte(host, ':')
	if at < strings.LastIndexByte(host, ']') || at < 0 {
		return host, "", false
	}
	return host[:at], host[at+1:], true
}

// plainPort reports whether port is 1 to 65535, without a sign or leading zeros.
func plainPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// plainName refuses hosts of which several spellings name one machine: those with empty labels or a trailing dot,
// and the addresses that only some resolvers take for one (10.1, 010.0.0.1, 0x0a000001).
func plainName(host string) bool {
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return true
}

// Near reports whether a registry may be asked over plain HTTP: where it is written as a loopback or private address,
// or is localhost or below it. Names that merely begin like one, such as 10.0.0.1.example.com, are not near.
func Near(registry string) bool {
	name, _, _ := cutPort(registry)
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
