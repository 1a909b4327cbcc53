package cluster

import (
	"fmt"
	"net"
)

// network is a part of loopback that is ours while we hold a listener in it: 127.N.0.0/16.
type network struct {
	number int
	lock   net.Listener
}

// lockPort is one that nothing else is known to use.
const lockPort = 20257

// claim takes the first part of loopback that nobody holds, in this process or another.
func claim() (network, error) {
	var refused error
	for number := 1; number < 255; number++ {
		n := network{number: number}
		lock, err := net.Listen("tcp", fmt.Sprintf("%s:%d", n.address(255, 254), lockPort))
		if err == nil {
			n.lock = lock
			return n, nil
		}
		refused = err
	}
	return network{}, fmt.Errorf("claim a part of loopback: %w", refused)
}

func (n network) release() { _ = n.lock.Close() }

func (n network) address(subnet, host int) string {
	return fmt.Sprintf("127.%d.%d.%d", n.number, subnet, host)
}

// services is the range of the Services' addresses.
func (n network) services() string { return n.address(0, 0) + "/24" }

// freePort gives host:port for a component that cannot choose its port itself. Nobody else
// listens on the address, so nobody takes the port meanwhile.
func freePort(host string) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}
