package rego_test

import (
	"context"
	"errors"
	"testing"

	"github.com/assay-dev/assay/rego"
)

// TestEveryDecisionIsWatched, in the context in which it was asked for: with each of its
// evaluations, also where it ends in an error.
func TestEveryDecisionIsWatched(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{})
	type key struct{}
	var got []rego.Made
	r.Watch(func(ctx context.Context, made rego.Made) {
		if ctx.Value(key{}) == nil {
			t.Error("got another context than that of the decision")
		}
		got = append(got, made)
	})
	ctx := context.WithValue(t.Context(), key{}, true)
	review := pod(w.Expand("${app@}"))
	if _, err := r.Decide(ctx, review); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Decide(ctx, review); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Mutate(ctx, review); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Decide(ctx, []byte("{")); err == nil {
		t.Fatal("got a decision about no review")
	}
	r.Refused(ctx, review, true, errors.New("not yet"))
	if len(got) != 5 {
		t.Fatalf("got %d decisions, want 5", len(got))
	}
	for i, want := range []struct {
		passes            int
		allowed, mutation bool
		failed            bool
	}{{passes: 2, allowed: true}, {passes: 1, allowed: true}, {passes: 1, allowed: true, mutation: true}, {failed: true}, {mutation: true, failed: true}} {
		made := got[i]
		if len(made.Passes) != want.passes || made.Decision.Allowed != want.allowed || made.Mutation != want.mutation || (made.Err != nil) != want.failed {
			t.Errorf("%d: got %d evaluations, allowed %t, a patch %t and %v, want %+v",
				i, len(made.Passes), made.Decision.Allowed, made.Mutation, made.Err, want)
		}
		for _, pass := range made.Passes {
			if pass.Began.IsZero() || pass.Took <= 0 {
				t.Errorf("%d: got an evaluation %+v without its time", i, pass)
			}
		}
		if made.Set != r.Set() {
			t.Errorf("%d: got another set than the one that serves", i)
		}
	}
}
