package certificate

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	client "k8s.io/client-go/rest"

	"github.com/assay-dev/assay/kube"
)

// offline is a client that opens no connection until it is asked for something.
func offline(t *testing.T) *kube.Client {
	t.Helper()
	connection, err := dynamic.NewForConfig(&client.Config{Host: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	return &kube.Client{Interface: connection, Namespace: "security"}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no service", Options{}, "certificate: got no service, want its name"},
		{"a negative life", Options{Service: "assay", Leaf: -1}, "certificate: leaf: got -1ns, want a positive duration"},
		{"a CA that is gone before it is replaced", Options{Service: "assay", Authority: time.Hour}, "certificate: authority: got 1h0m0s, want at least 12 times the lag of 10m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(offline(t), tt.options, slog.New(slog.DiscardHandler)); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	k, err := New(offline(t), Options{Service: "assay"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Certificate(); err == nil || err.Error() != "Secret security/webhook-certs: not read yet" {
		t.Errorf("got %v", err)
	}
	for _, tt := range []struct {
		name string
		age  time.Duration
		want string
	}{
		{"young", time.Hour, "[]"},
		{"due, and there is time", 5 * 24 * time.Hour, "[]"},
		{"not renewed", 6 * 24 * time.Hour, "tls.crt: nobody renews it, and it expires "},
		{"expired", 8 * 24 * time.Hour, "tls.crt: nobody renews it, and it expires "},
	} {
		s, err := usual().apply(found, nil, names(), time.Now().Add(-tt.age))
		if err != nil {
			t.Fatal(err)
		}
		k.take(secretOf(t, s, tt.name), time.Now())
		if got := fmt.Sprint(k.Problems()); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	k.take(nil, time.Now())
	if got := fmt.Sprint(k.Problems()); !strings.Contains(got, "holds no certificate yet") {
		t.Errorf("got %s", got)
	}
}

// What a leader cannot write is a problem until there is nothing to write.
func TestLeaderWithoutAServer(t *testing.T) {
	t.Parallel()
	k, err := New(offline(t), Options{Service: "assay"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := &leader{Keeper: k, trouble: newTrouble(k.log), trust: newTrusting(k.client, k.of, k.woken, k.log)}
	if l.turn(t.Context()); len(l.problems()) > 0 {
		t.Errorf("before the Secret is read: got %v, want nothing done", l.problems())
	}
	k.take(nil, time.Now())
	if wait := l.turn(t.Context()); wait != again || !strings.Contains(fmt.Sprint(l.problems()), "connection refused") {
		t.Errorf("got %v, and again after %v, want the cause and %v", l.problems(), wait, again)
	}
	s, err := usual().apply(found, nil, names(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	k.take(secretOf(t, s, "1"), time.Now())
	if wait := l.turn(t.Context()); wait != look || len(l.problems()) > 0 {
		t.Errorf("another made it: got %v, and again after %v", l.problems(), wait)
	}
}
