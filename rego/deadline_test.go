package rego_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// hanging is a registry that accepts requests and never answers.
func hanging(t *testing.T, w *world.World) func(string) string {
	t.Helper()
	return front(t, w, func(http.Handler) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	})
}

// within decides with a deadline and wants an answer before it.
func within(t *testing.T, r *rig, deadline time.Duration, images ...string) rego.Decision {
	t.Helper()
	// The margin that the product keeps is fixed, and a machine with other things to
	// do may miss it: one decision of three has to be in time.
	for attempt := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		d, err := r.Decide(ctx, pod(images...))
		late := ctx.Err() != nil
		cancel()
		switch {
		case err == nil && !late:
			return d
		case !late || attempt == 2:
			t.Fatalf("got %v, past the deadline: %t, want a decision before it", err, late)
		}
	}
	return rego.Decision{}
}

// TestHangingRegistryIsDeniedBeforeTheDeadline, and the other policy's failure,
// which is only to warn, still warns.
func TestHangingRegistryIsDeniedBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	image := hanging(t, w)(byDigest(t, w, "app"))
	for _, tt := range []struct {
		name, mode        string
		allowed           bool
		reasons, warnings int
	}{
		{"enforce denies", "", false, 1, 0},
		{"warn warns", "  mode: warn\n", true, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, w, setup{policies: policy("signed", tt.mode, "")})
			d := within(t, r, time.Second, image)
			if d.Allowed != tt.allowed || len(d.Reasons) != tt.reasons || len(d.Warnings) != tt.warnings {
				t.Errorf("got %s, want allowed %t, %d reasons, %d warnings", encode(t, d), tt.allowed, tt.reasons, tt.warnings)
			}
			if got := codes(d); !slices.Equal(got, []string{"timeout"}) {
				t.Errorf("got codes %v, want timeout", got)
			}
		})
	}
}

// TestHangingRegistryHoldsUpNoOther: what another registry answered counts.
func TestHangingRegistryHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	good := byDigest(t, w, "app")
	r := open(t, w, setup{})
	d := within(t, r, time.Second, good, hanging(t, w)(good))
	if d.Allowed || len(d.Images) != 2 {
		t.Fatalf("got %s, want denied", encode(t, d))
	}
	if got := d.Images[0].Policies[0].Outcome + ", " + d.Images[1].Policies[0].Outcome; got != "passed, failed" {
		t.Errorf("got %s, want passed, failed", got)
	}
}

// TestChainOfHangingQuestionsEndsInTime: only the first question may wait, not
// each in its turn half of what is left.
func TestChainOfHangingQuestionsEndsInTime(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	image := hanging(t, w)(byDigest(t, w, "app"))
	r := told(t, w, `
a := cosign.verify(image, object.union(authority, {"name": "a"}))
b := cosign.verify(image, object.union(authority, {"name": "b"})) if not a.ok
c := cosign.verify(image, object.union(authority, {"name": "c"})) if b.ok == false
decision := {"allowed": false, "reasons": [answer.error.code | some answer in [a, b, c]]}
`)
	begun := time.Now()
	d := within(t, r, time.Second, image)
	if got := strings.Join(d.Reasons, " "); got != "timeout timeout timeout" {
		t.Errorf("got %s, want three timeouts", got)
	}
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("got %v, want what is left after the margin of half a second", took)
	}
}

// MSG-12: who does not wait any more is not answered.
func TestContextThatEndedIsNoDecision(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	r := open(t, w, setup{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d, err := r.Decide(ctx, pod(byDigest(t, w, "app")))
	if err == nil || d.Allowed {
		t.Errorf("got %+v and %v, want an error", d, err)
	}
	if got := w.Requests(); len(got) > 0 {
		t.Errorf("got requests %v, want none", got)
	}
}
