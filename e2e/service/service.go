// Package service plays kube-proxy for the tests: a Service has one address, and behind it are
// those of its replicas that are ready. It forwards connections and looks into none, so a
// connection that breaks with its replica breaks for the caller, as it does in a cluster.
package service

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Service forwards what arrives at its address. Its methods may be called concurrently.
type Service struct {
	listener net.Listener
	probes   *http.Client

	mu       sync.Mutex
	replicas []*replica
	next     int
	work     sync.WaitGroup
	closed   chan struct{}
}

type replica struct {
	address string
	ready   bool
}

// probeEvery is how soon a replica that is not ready any more gets no new connections. A kubelet
// takes seconds; the time is not what the tests are about.
const probeEvery = 50 * time.Millisecond

// Listen starts a Service without replicas: it closes every connection.
func Listen(address string) (*Service, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Service{listener: listener, closed: make(chan struct{}), probes: &http.Client{
		Timeout: 5 * time.Second,
		// A kubelet does not verify certificates either: it asks the address of a Pod.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, //nolint:gosec // as above
	}}
	s.work.Go(s.accept)
	return s, nil
}

// Address is where the Service listens.
func (s *Service) Address() string { return s.listener.Addr().String() }

// Close ends the Service and every connection through it.
func (s *Service) Close() {
	close(s.closed)
	_ = s.listener.Close()
	s.work.Wait()
}

// Add puts a replica behind the Service, once its /readyz says 200, and for as long as it does.
func (s *Service) Add(address string) {
	r := &replica{address: address}
	s.mu.Lock()
	s.replicas = append(s.replicas, r)
	s.mu.Unlock()
	s.work.Go(func() {
		for {
			s.set(r, s.probe(address))
			select {
			case <-s.closed:
				return
			case <-time.After(probeEvery):
			}
		}
	})
}

// Ready says how many replicas are.
func (s *Service) Ready() (ready int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.replicas {
		if r.ready {
			ready++
		}
	}
	return ready
}

func (s *Service) probe(address string) bool {
	response, err := s.probes.Get("https://" + address + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *Service) set(r *replica, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ready = ready
}

func (s *Service) accept() {
	for {
		connection, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() { s.forward(connection) })
	}
}

// forward tries every replica that is ready, as one whose process is gone has not been probed yet.
func (s *Service) forward(connection net.Conn) {
	for _, address := range s.ready() {
		backend, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		s.join(connection, backend)
		return
	}
	_ = connection.Close()
}

// join copies in both directions until either ends, or the Service does.
func (s *Service) join(a, b net.Conn) {
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		s.work.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			ended <- struct{}{}
		})
	}
	select {
	case <-ended:
	case <-s.closed:
	}
	_, _ = a.Close(), b.Close()
}

// ready gives the replicas that are, starting with another one each time.
func (s *Service) ready() (addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	for i := range s.replicas {
		if r := s.replicas[(s.next+i)%len(s.replicas)]; r.ready {
			addresses = append(addresses, r.address)
		}
	}
	return addresses
}
