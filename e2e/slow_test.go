package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// slowRegistry is the world's registry at another address, which answers nothing until it is released.
type slowRegistry struct {
	asked, released   chan struct{}
	askOnce, freeOnce sync.Once
}

func hold(ts *testscript.TestScript, s *story, args []string) {
	behind := &url.URL{Scheme: "http", Host: s.world.Registry()}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	slow := &slowRegistry{asked: make(chan struct{}), released: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slow.askOnce.Do(func() { close(slow.asked) })
		select {
		case <-slow.released:
			proxy.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	s.slow = slow
	ts.Defer(func() { slow.release(); server.Close() })
	ts.Setenv("slow", strings.Replace(args[0], s.world.Registry(), server.Listener.Addr().String(), 1))
}

func held(ts *testscript.TestScript, s *story, _ []string) {
	select {
	case <-s.slow.asked:
	case <-time.After(patience):
		ts.Fatalf("got no question to the registry within %s", patience)
	}
}

func (r *slowRegistry) release() { r.freeOnce.Do(func() { close(r.released) }) }

func release(_ *testscript.TestScript, s *story, _ []string) { s.slow.release() }
