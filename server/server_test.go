package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no validating decider": {
			func(c *Config) { c.Validate = nil }, "server: got no Validate, want a Decider"},
		"no mutating decider": {
			func(c *Config) { c.Mutate = nil }, "server: got no Mutate, want a Decider"},
		"no readiness": {
			func(c *Config) { c.Ready = nil }, "server: got no Ready, want the checks of /readyz"},
		"no certificate": {
			func(c *Config) { c.InsecurePlainHTTP = false },
			`server: got certificate file "" and key file "", want both, or InsecurePlainHTTP`},
		"a certificate without its key": {
			func(c *Config) { c.InsecurePlainHTTP, c.TLS.CertFile = false, "tls.crt" },
			`server: got certificate file "tls.crt" and key file "", want both, or InsecurePlainHTTP`},
		"a certificate and plain HTTP": {
			func(c *Config) { c.TLS.CertFile = "tls.crt" },
			"server: got TLS files and InsecurePlainHTTP, want one of them"},
		"a source of certificates beside plain HTTP": {func(c *Config) { c.TLS.Source = &kept{} },
			"server: got TLS files and InsecurePlainHTTP, want one of them"},
		"a source of client CAs beside plain HTTP": {func(c *Config) { c.TLS.ClientCAs = &kept{} },
			"server: got TLS files and InsecurePlainHTTP, want one of them"},
		"a source beside a file": {func(c *Config) { c.InsecurePlainHTTP, c.TLS = false, TLS{Source: &kept{}, KeyFile: "k"} },
			"server: got certificate files and a source, want one of them"},
		"client CAs twice": {func(c *Config) {
			c.InsecurePlainHTTP, c.TLS = false, TLS{Source: &kept{}, ClientCAs: &kept{}, ClientCAFile: "c"}
		},
			"server: got a file and a source of client CAs, want one of them"},
		"a client CA and plain HTTP": {
			func(c *Config) { c.TLS.ClientCAFile = "ca.crt" },
			"server: got TLS files and InsecurePlainHTTP, want one of them"},
		"a certificate that is not there": {
			func(c *Config) {
				c.InsecurePlainHTTP, c.TLS = false, TLS{CertFile: "/absent/crt", KeyFile: "/absent/key"}
			},
			"read certificate: open /absent/crt: no such file or directory"},
		"a negative timeout": {
			func(c *Config) { c.Timeout = -1 }, "server: got Timeout -1ns, want more than 0, or 0 for 10s"},
		"a negative body limit": {
			func(c *Config) { c.BodyLimit = -1 }, "server: got BodyLimit -1, want more than 0, or 0 for 19922944"},
		"a negative number of reviews": {
			func(c *Config) { c.MaxInFlight = -1 }, "server: got MaxInFlight -1, want more than 0, or 0 for 256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := plainConfig()
			test.change(&config)
			if _, err := New(config); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestRunRefusesAnAddressInUse(t *testing.T) {
	t.Parallel()
	first := start(t, plainConfig())
	config := plainConfig()
	config.Addr = first.Addr().String()
	second, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "listen on "+config.Addr) {
		t.Errorf("got %v, want an error that names the address", err)
	}
	if second.Addr() != nil {
		t.Errorf("got address %s, want none", second.Addr())
	}
}

func TestHTTP2AndHTTP1(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	s := start(t, config)
	for _, major := range []int{1, 2} {
		client := ca.client(t)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = major == 2
		response, body := post(t, client, s.url+"/validate?timeout=10s", podReview)
		if response.ProtoMajor != major || !read(t, body).Response.Allowed {
			t.Errorf("got HTTP/%d %s, want an admission by HTTP/%d", response.ProtoMajor, body, major)
		}
	}
}

func TestTLSBelow13IsRefused(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	s, client := start(t, config), ca.client(t)
	client.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	_, err := client.Get(s.url + "/healthz")
	var alert tls.AlertError
	if !errors.As(err, &alert) && !strings.Contains(fmt.Sprint(err), "protocol version") {
		t.Errorf("got %v, want a refusal of the protocol version", err)
	}
}

func TestPlainHTTPToTLSIsRefused(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	s := start(t, config)
	response, _ := post(t, ca.client(t), "http://"+s.Addr().String()+"/validate", podReview)
	if response.StatusCode != 400 {
		t.Errorf("got %d, want 400", response.StatusCode)
	}
}

// TestSlowHeadersAreCutOff sends half a request and stops.
func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.ReadHeaderTimeout = 50 * time.Millisecond
	s := start(t, config)
	connection := dial(t, s)
	fmt.Fprint(connection, "POST /validate HTTP/1.1\r\nHost: x\r\nX-Slow:")
	// The connection may be closed before all of it has arrived.
	if rest, err := io.ReadAll(connection); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		t.Errorf("got %q %v, want the connection closed", rest, err)
	}
}

// TestSlowBodyIsCutOff promises a body and never sends it all.
func TestSlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.ReadTimeout = 2 * time.Second // and the beginning has to arrive within it
	s := start(t, config)
	connection := dial(t, s)
	fmt.Fprint(connection, "POST /validate HTTP/1.1\r\nHost: x\r\n"+
		"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"kind\"")
	rest, err := io.ReadAll(connection)
	if err != nil || !strings.HasPrefix(string(rest), "HTTP/1.1 400 ") || !strings.Contains(string(rest), "body: got 7 bytes, then") {
		t.Errorf("got %q %v, want 400 and the connection closed", rest, err)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.MaxHeaderBytes = 1 << 10
	s := start(t, config)
	connection := dial(t, s)
	go fmt.Fprint(connection, "POST /validate HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 6<<10)+"\r\n\r\n")
	status := make([]byte, len("HTTP/1.1 431"))
	if _, err := io.ReadFull(connection, status); err != nil || string(status) != "HTTP/1.1 431" {
		t.Errorf("got %q %v, want 431", status, err)
	}
}

// dial opens a raw connection.
func dial(t *testing.T, s *running) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return connection
}

// TestDrainFailsReadinessFirst looks at the server between the signal and the end
// of its listener, which never comes in this test.
func TestDrainFailsReadinessFirst(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	config.DrainDelay = time.Hour
	var log *journal
	config.Logger, log = newJournal(t)
	s, client := start(t, config), ca.client(t)
	if response, body := get(t, client, s.url+"/readyz"); response.StatusCode != 200 || body != "ready\n" {
		t.Fatalf("got %d %q, want ready", response.StatusCode, body)
	}
	if response, _ := post(t, client, s.url+"/validate", podReview); response.Close {
		t.Error("got the connection closed after a review, want it kept")
	}
	s.stop()
	log.wait(t, "draining")
	response, body := get(t, client, s.url+"/readyz?verbose")
	if want := "[-] serving: got the signal to stop\n[+] certificate: ok\n[+] clients: ok\n[+] timeout: ok\nnot ready\n"; response.StatusCode != 503 || body != want {
		t.Errorf("readiness: got %d %q, want 503 %q", response.StatusCode, body, want)
	}
	if response, body := post(t, client, s.url+"/validate", podReview); response.StatusCode != 200 || !response.Close {
		t.Errorf("review: got %d %s (closes: %t), want 200, and the connection closed", response.StatusCode, body, response.Close)
	}
	if response, _ := get(t, client, s.url+"/healthz"); response.StatusCode != 200 {
		t.Errorf("health: got %d, want 200", response.StatusCode)
	}
}

// blocking is a Decider that says when it was asked and waits to be released.
func blocking() (decider DeciderFunc, entered, release chan struct{}) {
	entered, release = make(chan struct{}, 1), make(chan struct{})
	return func(ctx context.Context, review []byte) (Decision, error) {
		entered <- struct{}{}
		<-release
		if err := ctx.Err(); err != nil {
			return Decision{}, err
		}
		return allowAll(ctx, review)
	}, entered, release
}

func TestDrainFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP/", major), func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t)
			config, _ := tlsConfig(t, ca)
			decider, entered, release := blocking()
			config.Validate, config.Timeout = decider, patience
			s, client := start(t, config), ca.client(t)
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = major == 2
			closing := make(chan struct{})
			s.http.RegisterOnShutdown(func() { close(closing) })
			answered := make(chan string, 1)
			go func() {
				_, body := post(t, client, s.url+"/validate", podReview)
				answered <- body
			}()
			<-entered
			s.stop()
			<-closing // the listener is closed by now
			if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
				t.Error("got a new connection while closing, want it refused")
			}
			close(release)
			if got := <-answered; !read(t, got).Response.Allowed {
				t.Errorf("got %s, want an admission", got)
			}
			if err := <-s.done; err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		})
	}
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.DrainTimeout = 10 * time.Millisecond
	decider, entered, release := blocking()
	config.Validate = decider
	s := start(t, config)
	connection := dial(t, s)
	fmt.Fprintf(connection, "POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(podReview), podReview)
	<-entered
	s.stop()
	if err := <-s.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: got %v, want the deadline exceeded", err)
	}
	close(release)
}
