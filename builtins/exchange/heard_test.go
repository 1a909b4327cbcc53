package exchange_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/builtins/oci"
)

// heard is the tape of a decision that made every call.
func heard(t *testing.T) (tape exchange.Tape, answers map[string][]any) {
	t.Helper()
	log := exchange.NewLog("all\x00\"of it\"")
	answers = everything(exchange.Into(t.Context(), log), exchange.Recording(registry{}), "tenant")
	return exchange.Tape{Session: "tenant", Logs: []*exchange.Log{log}}, answers
}

// TestTapeAnswersWhatWasAnswered without being written, to the same credentials and to nobody else.
func TestTapeAnswersWhatWasAnswered(t *testing.T) {
	t.Parallel()
	tape, want := heard(t)
	// Of an error the code and the message are left.
	want["Attestations"][1] = &oci.Error{Code: oci.RateLimited, Message: "slower"}
	for name, log := range map[string]*exchange.Log{"the same question": tape.Logs[0], "another question": exchange.NewLog("other")} {
		got := everything(exchange.Into(t.Context(), log), tape.Replay(), "tenant")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -heard +replayed:\n%s", name, diff)
		}
	}
	for name, answers := range everything(t.Context(), tape.Replay(), "somebody else") {
		if name == "Resolve" {
			continue // a digest answers itself
		}
		if err, _ := answers[len(answers)-1].(error); !errors.Is(err, exchange.ErrNotRecorded) {
			t.Errorf("%s: got %v, want nothing that was said to another", name, err)
		}
	}
}

// TestTapeWithTwoAnswers answers a question by its own, and others by neither.
func TestTapeWithTwoAnswers(t *testing.T) {
	t.Parallel()
	one, other := exchange.NewLog("one"), exchange.NewLog("other")
	cred := oci.Credentials{ID: "tenant"}
	_, _ = exchange.Recording(registry{}).Resolve(exchange.Into(t.Context(), one), cred, "ghcr.io/acme/app:1")
	_, _ = exchange.Recording(moved{}).Resolve(exchange.Into(t.Context(), other), cred, "ghcr.io/acme/app:1")
	r := exchange.Tape{Logs: []*exchange.Log{one, other}}.Replay()
	for log, want := range map[*exchange.Log]string{one: "sha256:00", other: "sha256:99"} {
		if got, err := r.Resolve(exchange.Into(t.Context(), log), cred, "ghcr.io/acme/app:1"); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", log.Question(), got, err, want)
		}
	}
	if got, err := r.Resolve(t.Context(), cred, "ghcr.io/acme/app:1"); !errors.Is(err, exchange.ErrNotRecorded) {
		t.Errorf("a third question: got %s, %v, want neither", got, err)
	}
}

type moved struct{ registry }

func (moved) Resolve(context.Context, oci.Credentials, string) (string, error) {
	return "sha256:99", nil
}

// TestTapeAsksAnotherRegistryAsOftenAsItMay, and not for what serves messages alone.
func TestTapeAsksAnotherRegistryAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	left := 2
	asking := exchange.Tape{}.Replay().Asking(registry{}, func() bool { left--; return left >= 0 })
	cred := oci.Credentials{ID: "tenant"}
	if _, err := asking.Count(t.Context(), cred, ref, oci.Place{}, oci.Referrers); !errors.Is(err, exchange.ErrNotRecorded) || left != 2 {
		t.Errorf("count: got %v and %d left, want it not asked", err, left)
	}
	for i, want := range []error{nil, nil, exchange.ErrNotRecorded} {
		if _, err := asking.Manifest(t.Context(), cred, ref); !cmp.Equal(want, err, cmpopts.EquateErrors()) {
			t.Errorf("question %d: got %v, want %v", i+1, err, want)
		}
	}
}
