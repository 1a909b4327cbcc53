package admitted_test

import (
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/admitted"
	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/keep"
)

func TestAnswerServesOnlyWhatWasAdmitted(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	shop := admitted.Scope{Set: "s", Namespace: "shop"}
	learn := func(scope admitted.Scope, question string, allowed bool, standing admitted.Standing, until time.Time) func(*admitted.Store[string]) {
		return func(s *admitted.Store[string]) {
			s.Learn(scope, question, allowed, standing, keep.Lasting[string]{Value: "yes", Until: until}, noon)
		}
	}
	other := func(s *admitted.Store[string]) {
		s.Learn(shop, "q", false, admitted.Serving, keep.Lasting[string]{Value: "no"}, noon)
	}
	for _, tt := range []struct {
		name  string
		learn []func(*admitted.Store[string])
		at    time.Duration
		want  bool
	}{
		{"admitted", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Serving, time.Time{})}, 0, true},
		{"admitted, until its time", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Serving, time.Time{})}, admitted.Lives - 1, true},
		{"admitted, after its time", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Serving, time.Time{})}, admitted.Lives, false},
		{"admitted, after a certificate expired", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Serving, noon.Add(time.Minute))}, time.Minute, false},
		{"a certificate that lives longer", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Serving, noon.AddDate(1, 0, 0))}, admitted.Lives, false},
		{"nothing", nil, 0, false},
		{"denied", []func(*admitted.Store[string]){learn(shop, "q", false, admitted.Serving, time.Time{})}, 0, false},
		{"admitted without an answer", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Missing, time.Time{})}, 0, false},
		{"admitted though it was refuted", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Refuting, time.Time{})}, 0, false},
		{"denied since, with the same answer", []func(*admitted.Store[string]){
			learn(shop, "q", true, admitted.Serving, time.Time{}), learn(shop, "q", false, admitted.Serving, time.Time{}),
		}, 0, true},
		{"denied since, with the same answer, after its time", []func(*admitted.Store[string]){
			learn(shop, "q", true, admitted.Serving, time.Time{}), learn(shop, "q", false, admitted.Serving, noon.AddDate(1, 0, 0)),
		}, admitted.Lives, false},
		{"denied since, with another answer", []func(*admitted.Store[string]){learn(shop, "q", true, admitted.Serving, time.Time{}), other}, 0, false},
		{"denied since, refuted", []func(*admitted.Store[string]){
			learn(shop, "q", true, admitted.Serving, time.Time{}), learn(shop, "q", false, admitted.Refuting, time.Time{}),
		}, 0, false},
		{"refuted since, and admitted for other reasons", []func(*admitted.Store[string]){
			learn(shop, "q", true, admitted.Serving, time.Time{}), learn(shop, "q", true, admitted.Refuting, time.Time{}),
		}, 0, false},
		{"unanswered since", []func(*admitted.Store[string]){
			learn(shop, "q", true, admitted.Serving, time.Time{}), learn(shop, "q", false, admitted.Missing, time.Time{}),
		}, 0, true},
		{"another question", []func(*admitted.Store[string]){learn(shop, "p", true, admitted.Serving, time.Time{})}, 0, false},
		{"another set", []func(*admitted.Store[string]){
			learn(admitted.Scope{Set: "t", Namespace: "shop"}, "q", true, admitted.Serving, time.Time{}),
		}, 0, false},
		{"another namespace", []func(*admitted.Store[string]){learn(admitted.Scope{Set: "s"}, "q", true, admitted.Serving, time.Time{})}, 0, false},
		{"a namespace that reads like a question", []func(*admitted.Store[string]){
			learn(admitted.Scope{Set: "s", Namespace: `shop" "q`}, "", true, admitted.Serving, time.Time{}),
		}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := admitted.New(nil, func(a, b string) bool { return a == b })
			for _, learn := range tt.learn {
				learn(store)
			}
			if _, got := store.Recall(shop, "q", noon.Add(tt.at)); got != tt.want {
				t.Errorf("got an answer: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStandingOf(t *testing.T) {
	t.Parallel()
	for code, want := range map[declare.Code]admitted.Standing{
		declare.NotFound: admitted.Serving, declare.NoSignatures: admitted.Serving,
		declare.Timeout: admitted.Missing, declare.Unreachable: admitted.Missing, declare.RateLimited: admitted.Missing,
		declare.Unauthorized: admitted.Refuting, declare.IdentityMismatch: admitted.Refuting, declare.DigestMismatch: admitted.Refuting,
		declare.Expired: admitted.Refuting, declare.UntrustedRoot: admitted.Refuting, declare.Malformed: admitted.Refuting,
	} {
		if got := admitted.StandingOf(declare.Refuse(code, "")); got != want {
			t.Errorf("%s: got %v, want %v", code, got, want)
		}
	}
	if got := admitted.StandingOf(nil); got != admitted.Serving {
		t.Errorf("no problem: got %v, want it to serve", got)
	}
}
