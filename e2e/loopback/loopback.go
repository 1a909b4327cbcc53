// Package loopback gives tests parts of loopback to themselves, so that any number of them run
// beside each other, in this process and in others.
package loopback

import (
	"fmt"
	"net"
)

// Network is a part of loopback that is ours while we hold a listener in it: 127.N.0.0/16.
type Network struct {
	number int
	lock   net.Listener
}

// lockPort is one that nothing else is known to use.
const lockPort = 20257

// Claim takes the first part of loopback that nobody holds, in this process or another.
func Claim() (Network, error) {
	var refused error
	for number := 1; number < 255; number++ {
		n := Network{number: number}
		lock, err := net.Listen("tcp", fmt.Sprintf("%s:%d", n.Address(255, 254), lockPort))
		if err == nil {
			n.lock = lock
			return n, nil
		}
		refused = err
	}
	return Network{}, fmt.Errorf("claim a part of loopback: %w", refused)
}

// Release gives it back.
func (n Network) Release() { _ = n.lock.Close() }

// Address is 127.N.SUBNET.HOST.
func (n Network) Address(subnet, host int) string {
	return fmt.Sprintf("127.%d.%d.%d", n.number, subnet, host)
}

// FreePort gives host:port for a component that cannot choose its port itself. Nobody else
// listens on an address of the network, so nobody takes the port meanwhile.
func FreePort(host string) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}
