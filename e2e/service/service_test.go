package service_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/e2e/service"
)

// named is a replica that says its name, and is ready when it is told to be.
func named(t *testing.T, name string, ready *atomic.Bool) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(server.Close)
	return server
}

// asked gives the name of the replica that answers, and nothing if none does.
func asked(t *testing.T, address string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // whose it is does not matter
	}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// eventually waits until a replica count is reached.
func eventually(t *testing.T, s *service.Service, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for s.Ready() != want {
		select {
		case <-ctx.Done():
			t.Fatalf("ready replicas: got %d, want %d", s.Ready(), want)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestOnlyReadyReplicasAreReached(t *testing.T) {
	t.Parallel()
	s, err := service.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if got := asked(t, s.Address()); got != "" {
		t.Errorf("got an answer of %q, want none without replicas", got)
	}

	var one, two atomic.Bool
	one.Store(true)
	first := named(t, "one", &one)
	s.Add(first.Listener.Addr().String())
	s.Add(named(t, "two", &two).Listener.Addr().String())
	eventually(t, s, 1)
	for range 4 {
		if got, want := asked(t, s.Address()), "one"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	two.Store(true)
	eventually(t, s, 2)
	got := map[string]int{}
	for range 4 {
		got[asked(t, s.Address())]++
	}
	if got["one"] != 2 || got["two"] != 2 {
		t.Errorf("got %v, want both in turn", got)
	}

	// One that is gone was not probed yet: the other one is tried.
	first.Close()
	for range 4 {
		if got, want := asked(t, s.Address()), "two"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	eventually(t, s, 1)
}
