package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// kept is a certificate and client CAs that are in no file.
type kept struct {
	mu          sync.Mutex
	certificate *tls.Certificate
	clients     []byte
	err         error
}

func (k *kept) Certificate() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.certificate, k.err
}

func (k *kept) ClientCAs() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.clients, k.err
}

func (k *kept) set(t *testing.T, p pair, clients []byte, err error) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clients, k.err = clients, err
	if p.certificate == nil {
		return
	}
	certificate, parsed := tls.X509KeyPair(p.certificate, p.key)
	if parsed != nil {
		t.Fatal(parsed)
	}
	k.certificate = &certificate
}

// TestCertificateOfASource serves from the next handshake on, without a restart and
// without dropping what is connected.
func TestCertificateOfASource(t *testing.T) {
	t.Parallel()
	ca, source := newAuthority(t), &kept{}
	config := plainConfig()
	config.InsecurePlainHTTP, config.TLS = false, TLS{Source: source}
	s := start(t, config)

	if response, err := ca.client(t).Get(s.url + "/healthz"); err == nil {
		t.Fatalf("without a certificate: got %d, want no handshake", response.StatusCode)
	}
	if checks := s.checks(); checks[1].Err == nil || !strings.Contains(checks[1].Err.Error(), "no certificate yet: certificate: got none") {
		t.Errorf("without a certificate: got %v, want that it is not ready", checks)
	}
	source.set(t, ca.issue(t, 1, "127.0.0.1"), nil, nil)
	connected := ca.client(t)
	if response, _ := get(t, connected, s.url+"/readyz"); response.StatusCode != 200 {
		t.Errorf("with a certificate: got %d, want 200", response.StatusCode)
	}
	source.set(t, ca.issue(t, 2, "127.0.0.1"), nil, nil)
	if got := serial(t, ca, s); got != 2 {
		t.Errorf("got certificate %d, want the second at once", got)
	}
	if response, _ := get(t, connected, s.url+"/healthz"); response.StatusCode != 200 {
		t.Errorf("what was connected: got %d, want 200", response.StatusCode)
	}
	source.set(t, pair{}, nil, errors.New("the Secret is gone"))
	if got := serial(t, ca, s); got != 2 {
		t.Errorf("got certificate %d, want the last one", got)
	}
	source.set(t, ca.issueUntil(t, 3, "127.0.0.1", time.Now().Add(-time.Minute)), nil, nil)
	if checks := s.checks(); checks[1].Err == nil || !strings.Contains(checks[1].Err.Error(), "certificate: got a certificate that expired") {
		t.Errorf("got %v, want that it has expired", checks)
	}
}

func TestSourceWithoutACertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	leafless := &kept{}
	leafless.set(t, ca.issue(t, 1, "127.0.0.1"), nil, nil)
	leafless.certificate.Leaf = nil
	for name, tt := range map[string]struct {
		source *kept
		want   string
	}{
		"an error":             {&kept{err: errors.New("no Secret")}, "certificate: no Secret"},
		"nothing":              {&kept{}, "certificate: got none, want one with its leaf"},
		"one that is empty":    {&kept{certificate: &tls.Certificate{}}, "certificate: got none, want one with its leaf"},
		"one without its leaf": {leafless, "certificate: got none, want one with its leaf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, err := loadCertificates(TLS{Source: tt.source}, discard(), NewMetrics(""))
			if err != nil {
				t.Fatal(err)
			}
			if err := loaded.valid(time.Now()); err == nil || err.Error() != "no certificate yet: "+tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestClientCAsOfASource change without a restart; what cannot be read asks for more, not
// for less.
func TestClientCAsOfASource(t *testing.T) {
	t.Parallel()
	ca, first, second := newAuthority(t), newAuthority(t), newAuthority(t)
	config, _ := tlsConfig(t, ca)
	source := &kept{}
	source.set(t, pair{}, first.pem(), nil)
	config.TLS.ClientCAs = source
	s := start(t, config)
	status := func(shown ...pair) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/validate", strings.NewReader(podReview))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := ca.client(t, shown...).Do(request)
		if err != nil {
			return 0 // the handshake was refused
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	old, renewed := first.issue(t, 1, "127.0.0.1"), second.issue(t, 1, "127.0.0.1")
	if none, one := status(), status(old); none != 401 || one != 200 {
		t.Errorf("got %d without a certificate and %d with one, want 401 and 200", none, one)
	}
	source.set(t, pair{}, second.pem(), nil)
	if before, now := status(old), status(renewed); before == 200 || now != 200 {
		t.Errorf("another CA: got %d for the old client and %d for the new one, want 200 for the new one alone", before, now)
	}
	for name, set := range map[string]func(){
		"an error":    func() { source.set(t, pair{}, nil, errors.New("gone")) },
		"nothing":     func() { source.set(t, pair{}, nil, nil) },
		"what is not": func() { source.set(t, pair{}, []byte("nonsense"), nil) },
	} {
		if set(); status() != 401 || status(renewed) != 200 {
			t.Errorf("%s: want the last CA that was good", name)
		}
	}
}

func TestClientCAsThatAreNotThereYetLetNobodyIn(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, _ := tlsConfig(t, ca)
	config.TLS.ClientCAs = &kept{err: errors.New("no ConfigMap")}
	s := start(t, config)
	if response, err := ca.client(t).Get(s.url + "/readyz"); err == nil {
		t.Errorf("got %d, want no handshake", response.StatusCode)
	}
	if err := s.checks()[1].Err; err == nil || err.Error() != "no certificate yet: client CA: no ConfigMap" {
		t.Errorf("got %v, want that it is not ready", err)
	}
}

// Over TLS and without client CAs whoever reaches the port may ask: said once.
func TestServingEverybodyIsSaid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  func(*testing.T, *Config)
		want bool
	}{
		{"without client CAs", func(*testing.T, *Config) {}, true},
		{"on loopback", func(_ *testing.T, c *Config) { c.Addr = "127.0.0.1:0" }, false},
		{"with client CAs", func(t *testing.T, c *Config) {
			source := &kept{}
			source.set(t, pair{}, newAuthority(t).pem(), nil)
			c.TLS.ClientCAs = source
		}, false},
		{"over plain HTTP, which says so itself", func(_ *testing.T, c *Config) { c.TLS, c.InsecurePlainHTTP = TLS{}, true }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config, _ := tlsConfig(t, newAuthority(t))
			config.Addr = ":0"
			tt.set(t, &config)
			var log bytes.Buffer // read when the server has ended
			config.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := start(t, config)
			s.stop()
			if err := <-s.done; err != nil {
				t.Fatal(err)
			}
			got := strings.Count(log.String(), `level=WARN msg="client certificates are not asked for"`)
			if want := map[bool]int{true: 1}[tt.want]; got != want {
				t.Errorf("got %d warnings, want %d", got, want)
			}
		})
	}
}
