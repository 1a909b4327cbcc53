package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/labstack/echo/v4"
)

// Mounted is a handler that is not this room's, at a path of the server.
type Mounted struct {
	// Method and Path are as Echo has them.
	Method, Path string
	Handler      http.Handler
	// Open lets whoever reaches the port ask. All others want a client certificate that is
	// verified, or the token.
	Open bool
}

// mountedBody bounds what is posted to a mounted handler, in bytes.
const mountedBody = 4 << 20

// checkMounted refuses handlers that nobody could be kept from.
func (c Config) checkMounted() error {
	for _, m := range c.Mounted {
		if !m.Open && c.Token == nil && !c.TLS.asksClients() {
			return fmt.Errorf("server: %s %s is mounted: want a token, or a client CA: --api-token-file or --client-ca", m.Method, m.Path)
		}
	}
	return nil
}

// mostMounted bounds how many requests handlers that are mounted have at once: nobody bounds the
// memory that each takes, and reviews need theirs.
const mostMounted = 16

// mount serves what is mounted. Reviews have slots of their own, and so has what is open to
// everybody, so that none keeps another waiting.
func (s *Server) mount(e *echo.Echo) {
	most := min(mostMounted, 4*runtime.GOMAXPROCS(0), s.config.MaxInFlight)
	open, closed := make(chan struct{}, most), make(chan struct{}, most)
	for _, m := range s.config.Mounted {
		slots := closed
		if m.Open {
			slots = open
		}
		e.Add(m.Method, m.Path, func(c echo.Context) error {
			request := c.Request()
			if err := s.admits(m, request); err != nil {
				return err
			}
			if len(request.Header.Values(echo.HeaderContentEncoding)) > 0 { // a handler would unpack more than is counted
				return refuse(http.StatusUnsupportedMediaType, "Content-Encoding: got %q, want none", request.Header.Get(echo.HeaderContentEncoding))
			}
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			default:
				return refuse(http.StatusServiceUnavailable, "overloaded: got more than %d requests at once", cap(slots))
			}
			ctx, cancel := context.WithTimeout(request.Context(), s.config.Timeout)
			defer cancel()
			request = request.WithContext(ctx)
			request.Body = http.MaxBytesReader(c.Response(), request.Body, mountedBody)
			m.Handler.ServeHTTP(c.Response(), request)
			return nil
		})
	}
}

// admits asks for a client certificate, or the token.
func (s *Server) admits(m Mounted, request *http.Request) error {
	if m.Open || request.TLS != nil && len(request.TLS.VerifiedChains) > 0 {
		return nil
	}
	if s.config.Token == nil {
		return refuse(http.StatusUnauthorized, "got no client certificate, want one of the client CA")
	}
	want, err := s.config.Token()
	if err != nil || want == "" {
		s.log.Error("token", "error", errors.Join(err, errors.New("want one")))
		return refuse(http.StatusServiceUnavailable, "the token cannot be read")
	}
	scheme, got, _ := strings.Cut(request.Header.Get(echo.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want)) != 1 {
		return refuse(http.StatusUnauthorized, "got no valid token, want Authorization: Bearer TOKEN, or a client certificate")
	}
	return nil
}
