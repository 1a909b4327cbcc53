package server

import (
	"strings"
	"testing"
	"time"
)

// TestWaitsThatAreLongerThanDecisions are noted once, and as long as they last. What no API
// server waits is no note.
func TestWaitsThatAreLongerThanDecisions(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.Timeout = 5 * time.Second
	var log *journal
	config.Logger, log = newJournal(t)
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ path, want string }{
		{"/validate", "[+] timeout: ok\n"},
		{"/validate?timeout=5s", "[+] timeout: ok\n"},
		{"/validate?timeout=31s", "[+] timeout: ok\n"},
		{"/validate?timeout=10s", "[+] timeout: ok, but the API server waits 10s for validate, longer than it is decided\n"},
		{"/mutate?timeout=3s", "[+] timeout: ok, but the API server waits 10s for validate, longer than it is decided\n"},
		{"/mutate?timeout=30s", "[+] timeout: ok, but the API server waits 30s for mutate, longer than it is decided; the API server waits 10s for validate, longer than it is decided\n"},
		{"/validate?timeout=10s", "the API server waits 10s for validate"},
		{"/validate?timeout=5s", "[+] timeout: ok, but the API server waits 30s for mutate, longer than it is decided\n"},
		{"/mutate?timeout=4s", "[+] timeout: ok\n"},
	} {
		if got := handle(s, step.path, podReview); got.Code != 200 {
			t.Fatalf("%s: got %d, want it decided", step.path, got.Code)
		}
		if status, got := page(s, "/readyz?verbose"); status != 200 || !strings.Contains(got, step.want) {
			t.Errorf("%s: got %d %s, want 200 %s", step.path, status, got, step.want)
		}
	}
	for _, want := range []string{"10s", "30s"} {
		if line := log.wait(t, "timeout"); line["waits"] != want || line["decided within"] != "5s" {
			t.Errorf("got the log line %v, want one about %s", line, want)
		}
	}
}

func TestReadinessSaysWhoMayAsk(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	open := "[+] clients: ok, but there is no client CA: whoever reaches the port may ask what registries answer to the credentials that are used here\n"
	for name, test := range map[string]struct {
		addr     string
		clientCA bool
		want     string
	}{
		"everybody":                    {"", false, open},
		"everybody of this machine":    {"127.0.0.1:0", false, "[+] clients: ok\n"},
		"clients with a certificate":   {"", true, "[+] clients: ok\n"},
		"everybody, on any of several": {"0.0.0.0:0", false, open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, mounted := tlsConfig(t, ca)
			if config.Addr = test.addr; test.clientCA {
				write(t, mounted.file("ca.crt"), ca.pem())
				config.TLS.ClientCAFile = mounted.file("ca.crt")
			}
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			if test.addr != "" {
				if err := s.Listen(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.listener.Close() })
			}
			if status, got := page(s, "/readyz?verbose"); status != 200 || !strings.Contains(got, test.want) {
				t.Errorf("got %d %s, want 200 %s", status, got, test.want)
			}
		})
	}
	plain, err := New(plainConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, got := page(plain, "/readyz?verbose"); strings.Contains(got, "clients") {
		t.Errorf("plain HTTP: got %s, want nothing about clients", got)
	}
}
