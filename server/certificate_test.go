package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serial asks for a page over a new connection and returns the certificate's number.
func serial(t *testing.T, ca *authority, s *running) int64 {
	t.Helper()
	response, _ := get(t, ca.client(t), s.url+"/healthz")
	return response.TLS.PeerCertificates[0].SerialNumber.Int64()
}

func TestCertificateReloadDropsNoConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, mounted := tlsConfig(t, ca)
	var log *journal
	config.Logger, log = newJournal(t)
	s, kept := start(t, config), ca.client(t)
	if response, _ := post(t, kept, s.url+"/validate", podReview); response.TLS.PeerCertificates[0].SerialNumber.Int64() != 1 {
		t.Fatal("got another certificate than the first")
	}
	log.wait(t, "decided")

	mounted.swap(t, ca.issue(t, 2, "127.0.0.1"))
	log.wait(t, "certificate reloaded")
	if got := serial(t, ca, s); got != 2 {
		t.Errorf("new connection: got certificate %d, want 2", got)
	}
	reused := false
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, s.url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, _ := do(t, kept, request); response.StatusCode != 200 || !reused {
		t.Errorf("old connection: got %d, reused %v, want 200 over the same connection", response.StatusCode, reused)
	}
	_, metrics := get(t, kept, s.url+"/metrics")
	wantLine(t, metrics, `assay_certificate_reload_total{result="success"} 1`)
	wantLine(t, metrics, `assay_certificate_reload_total{result="failure"} 0`)
}

func TestCertificateThatCannotBeUsedKeepsTheOld(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	good, other := ca.issue(t, 2, "127.0.0.1"), ca.issue(t, 3, "127.0.0.1")
	for name, bad := range map[string]pair{
		"a key of another certificate":  {good.certificate, other.key},
		"a certificate that is not PEM": {[]byte("nonsense"), good.key},
		"an empty certificate":          {nil, good.key},
		"an empty key":                  {good.certificate, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, mounted := tlsConfig(t, ca)
			var log *journal
			config.Logger, log = newJournal(t)
			s := start(t, config)
			serial(t, ca, s) // what serves is watching
			mounted.swap(t, bad)
			line := log.wait(t, "certificate not reloaded, the old one serves")
			if text, _ := line["error"].(string); !strings.Contains(text, mounted.file("tls.crt")) {
				t.Errorf("got error %q, want one that names the file", text)
			}
			if got := serial(t, ca, s); got != 1 {
				t.Errorf("got certificate %d, want the old one", got)
			}
			_, metrics := get(t, ca.client(t), s.url+"/metrics")
			if strings.Contains(metrics, `assay_certificate_reload_total{result="failure"} 0`) {
				t.Error("got no failure in the metrics")
			}

			mounted.swap(t, good)
			log.wait(t, "certificate reloaded")
			if got := serial(t, ca, s); got != 2 {
				t.Errorf("after the repair: got certificate %d, want 2", got)
			}
		})
	}
}

func TestCertificateThatChangedBeforeRunIsSeen(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, mounted := tlsConfig(t, ca)
	loaded, err := loadCertificates(config.TLS, discard(), NewMetrics(""))
	if err != nil {
		t.Fatal(err)
	}
	mounted.swap(t, ca.issueUntil(t, 2, "127.0.0.1", time.Now().Add(-time.Minute)))
	loaded.reload()
	if err := loaded.valid(time.Now()); err == nil || !strings.Contains(err.Error(), "tls.crt: got a certificate that expired") {
		t.Errorf("got %v, want the new certificate, which has expired", err)
	}
}

func TestExpiredCertificateIsNotReady(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, mounted := tlsConfig(t, ca)
	mounted.swap(t, ca.issueUntil(t, 7, "127.0.0.1", time.Now().Add(-time.Minute)))
	s, client := start(t, config), ca.client(t)
	client.Transport.(*http.Transport).TLSClientConfig.Time = func() time.Time { return time.Now().Add(-time.Hour) }
	response, body := get(t, client, s.url+"/readyz")
	if want := "[-] certificate\nnot ready\n"; response.StatusCode != 503 || body != want {
		t.Errorf("got %d %q, want 503 %q", response.StatusCode, body, want)
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca, clients, strangers := newAuthority(t), newAuthority(t), newAuthority(t)
	config, mounted := tlsConfig(t, ca)
	config.TLS.ClientCAFile = mounted.file("clients.crt")
	write(t, config.TLS.ClientCAFile, clients.pem())
	s := start(t, config)

	t.Run("the webhooks take one of the CA", func(t *testing.T) {
		response, body := post(t, ca.client(t, clients.issue(t, 1, "127.0.0.1")), s.url+"/validate", podReview)
		if response.StatusCode != 200 {
			t.Errorf("got %d %s, want 200", response.StatusCode, body)
		}
	})
	t.Run("the webhooks refuse to do without", func(t *testing.T) {
		for _, path := range []string{"/validate", "/mutate"} {
			response, body := post(t, ca.client(t), s.url+path, podReview)
			if response.StatusCode != 401 || body != failure(t, 401, "client certificate: got none, want one of the configured CA") {
				t.Errorf("%s: got %d %q, want 401", path, response.StatusCode, body)
			}
		}
	})
	t.Run("one of another CA is refused", func(t *testing.T) {
		stranger := strangers.issue(t, 1, "127.0.0.1")
		client := ca.client(t, stranger)
		// Shown even though the server names another CA.
		client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate =
			func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				certificate, err := tls.X509KeyPair(stranger.certificate, stranger.key)
				return &certificate, err
			}
		if response, err := client.Get(s.url + "/healthz"); err == nil {
			t.Errorf("got %d, want the handshake refused", response.StatusCode)
		}
	})
	t.Run("probes need none", func(t *testing.T) {
		if response, _ := get(t, ca.client(t), s.url+"/readyz"); response.StatusCode != 200 {
			t.Errorf("got %d, want 200", response.StatusCode)
		}
	})
}

func TestClientCARefusals(t *testing.T) {
	t.Parallel()
	config, mounted := tlsConfig(t, newAuthority(t))
	config.TLS.ClientCAFile = mounted.file("clients.crt")
	if _, err := New(config); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: got %v, want that it does not exist", err)
	}
	write(t, config.TLS.ClientCAFile, []byte("nonsense"))
	if _, err := New(config); err == nil || err.Error() != "client CA "+config.TLS.ClientCAFile+": got no certificate, want PEM" {
		t.Errorf("not PEM: got %v, want that it holds no certificate", err)
	}
}

// TestCertificateIsPolledWhereItCannotBeWatched runs on a clock of its own.
func TestCertificateIsPolledWhereItCannotBeWatched(t *testing.T) {
	t.Parallel()
	config, mounted := tlsConfig(t, newAuthority(t))
	synctest.Test(t, func(t *testing.T) {
		loaded, err := loadCertificates(config.TLS, discard(), NewMetrics(""))
		if err != nil {
			t.Fatal(err)
		}
		first := loaded.current.Load()
		ctx, cancel := context.WithCancel(t.Context())
		go (&Watch{log: slog.New(slog.DiscardHandler)}).Run(ctx, loaded.reload)
		mounted.swap(t, newAuthority(t).issue(t, 2, "127.0.0.1"))
		time.Sleep(poll - time.Second)
		synctest.Wait()
		if loaded.current.Load() != first {
			t.Error("before the poll: got another certificate, want the first")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if loaded.current.Load() == first {
			t.Error("after the poll: got the first certificate, want the second")
		}
		cancel()
		synctest.Wait()
	})
}
