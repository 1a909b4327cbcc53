// Package server answers AdmissionReviews over HTTPS. It owns what surrounds a
// decision: routes, limits, deadlines, certificates, health, metrics, the log. It
// knows nothing of policies or signatures: a [Decider] decides.
//
//	POST /validate   admits or denies
//	POST /mutate     admits, with a JSON patch where the Decider gives one
//	POST /policies/validate, /policies/default
//	                 the same for policies that are applied, where there are Deciders for them
//	GET  /healthz    200 while the process answers
//	GET  /readyz     200 when every check passes; ?verbose says each check's cause
//	GET  /metrics    Prometheus, from this server's own registry
//
// What a caller gets:
//   - every review that can be read is 200 with allowed true or false. A Decider
//     that fails or panics is a denial, never a 500: the API server would take
//     that for a broken webhook, and with failurePolicy Ignore admit the object;
//   - a review that is larger than we take is one of those, and so is one that comes
//     while there is no room, as long as its beginning can be read: the API server tells
//     its user the reason of a denial, and has no failure to ignore;
//   - what cannot be answered is an error, in a Status whose text the API server
//     shows to the user: 400 an unreadable review or timeout, 401 no
//     client certificate where a client CA is set, 413 a body over the limit that does
//     not begin like a review, 415 anything but application/json, 503 where there is no
//     room and the body does not begin like a review;
//   - 503 carries Retry-After, upon which an API server asks again.
//
// The context that a Decider gets ends at the configured timeout or at the one
// that the API server sends as ?timeout=, whichever is sooner, less 250 ms for the
// way of the review to us and of the answer back if that is more than a second.
//
// Client certificates are asked of the webhooks only: the kubelet's probes
// have none to show. A certificate of another CA is refused in the handshake.
//
// When the context of [Server.Run] ends, readiness fails first, then reviews are
// still answered while the endpoints of the Service forget us, then the listener
// closes and the requests in flight finish.
//
// The server never logs the content of an object, never dials anybody and never
// falls back: a certificate pair that cannot be read leaves the old one serving,
// says so, and plain HTTP has to be asked for by its name. Over TLS and without client
// CAs everybody who reaches the port may ask, which is said when it starts on other
// addresses than loopback.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server answers reviews until the context of its Run ends. Build it with [New].
type Server struct {
	config       Config
	log          *slog.Logger
	metrics      *Metrics
	certificates *certificates // nil when serving plain HTTP
	http         *http.Server
	listener     net.Listener
	draining     atomic.Bool
	waits        waits
}

// New checks the configuration and reads the certificates. It opens no socket.
func New(config Config) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: config.Logger, metrics: config.Metrics,
		waits: waits{log: config.Logger, longer: map[string]time.Duration{}},
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: config.ReadHeaderTimeout,
		ReadTimeout:       config.ReadTimeout,
		WriteTimeout:      config.ReadTimeout + config.Timeout + writeMargin,
		IdleTimeout:       config.IdleTimeout,
		MaxHeaderBytes:    config.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(config.Logger.Handler(), slog.LevelWarn),
	}
	if config.InsecurePlainHTTP {
		return s, nil
	}
	s.certificates, err = loadCertificates(config.TLS, config.Logger, config.Metrics)
	if err != nil {
		return nil, err
	}
	s.http.TLSConfig = s.certificates.tlsConfig()
	return s, nil
}

// Handler returns the routes without the listener: no TLS, no read timeouts.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Metrics returns what this server measures, for others to add to.
func (s *Server) Metrics() *Metrics { return s.metrics }

// Listen binds the address, so that Addr is known before Run. Run does it for
// those who do not call it. Requires that it is called once, and before Run.
func (s *Server) Listen() error {
	listener, err := net.Listen("tcp", s.config.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.config.Addr, err)
	}
	s.listener = listener
	return nil
}

// Addr returns the bound address, nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends, then drains. It returns nil when every request in
// flight has been answered. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	if s.certificates != nil {
		changes := s.certificates.subscribe()
		background.Go(func() { changes.Run(watching, s.certificates.reload) })
	}
	served := make(chan error, 1)
	background.Go(func() { served <- s.serve() })
	if s.open() {
		s.log.Warn("client certificates are not asked for",
			"effect", openEffect,
			"fix", "set a client CA, or let the API server alone reach the port")
	}
	s.log.Info("serving", "address", s.Addr().String(), "tls", s.certificates != nil)
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		return s.drain(context.WithoutCancel(ctx), served)
	}
}

// local says whether nobody but this machine reaches the port.
func (s *Server) local() bool {
	address, ok := s.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

// serve returns when the listener is closed.
func (s *Server) serve() error {
	if s.certificates == nil {
		return s.http.Serve(s.listener)
	}
	return s.http.ServeTLS(s.listener, "", "")
}

// drain fails readiness, waits until nobody is sent here any more, and lets what
// is in flight finish within its bound.
func (s *Server) drain(ctx context.Context, served <-chan error) error {
	s.draining.Store(true)
	s.log.Info("draining", "delay", s.config.DrainDelay, "bound", s.config.DrainTimeout)
	delay := time.NewTimer(s.config.DrainDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case err := <-served:
		return fmt.Errorf("serve while draining: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, s.config.DrainTimeout)
	defer cancel()
	if err := s.http.Shutdown(bounded); err != nil {
		return errors.Join(fmt.Errorf("drain: got requests running after %s: %w", s.config.DrainTimeout, err),
			s.http.Close())
	}
	s.log.Info("drained")
	return nil
}
