package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestSlowBodiesTakeNoSlot sends the beginnings of more reviews than there are
// slots, and then a whole one.
func TestSlowBodiesTakeNoSlot(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.MaxInFlight = 1
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		body, rest := io.Pipe()
		t.Cleanup(func() { _ = rest.Close() })
		go handleFrom(s, "/validate", body)
		// The pipe hands over a byte when somebody reads it, and not before.
		if _, err := rest.Write([]byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	if got := handle(s, "/validate", podReview); got.Code != 200 {
		t.Errorf("got %d %s, want 200", got.Code, got.Body)
	}
}

func TestBodyIsNotReadWithoutAClientCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config, mounted := tlsConfig(t, ca)
	write(t, mounted.file("ca.crt"), ca.pem())
	config.TLS.ClientCAFile = mounted.file("ca.crt")
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if got := handleFrom(s, "/validate", unread{t}); got.Code != 401 {
		t.Errorf("got %d %s, want 401", got.Code, got.Body)
	}
}

// unread fails the test of whoever reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("got a read, want none")
	return 0, io.EOF
}

// TestReadTimeoutDoesNotEndADecision decides for longer than reading may take.
func TestReadTimeoutDoesNotEndADecision(t *testing.T) {
	t.Parallel()
	config := plainConfig()
	config.ReadTimeout = time.Second // and the review has to arrive within it
	config.Timeout = patience
	config.Validate = DeciderFunc(func(ctx context.Context, review []byte) (Decision, error) {
		select {
		case <-ctx.Done():
			return Decision{}, context.Cause(ctx)
		case <-time.After(2 * config.ReadTimeout):
			return allowAll(ctx, review)
		}
	})
	s := start(t, config)
	connection := dial(t, s)
	fmt.Fprintf(connection, "POST /validate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(podReview), podReview)
	got, err := io.ReadAll(connection)
	if err != nil || !strings.Contains(string(got), `"allowed":true`) {
		t.Errorf("got %q %v, want an admission", got, err)
	}
}
