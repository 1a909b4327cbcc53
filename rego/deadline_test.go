package rego_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// stalled are the registries of a world in this process, of which one, or every one
// while well says no, takes requests and never answers. Nothing is dialled, so that a
// test in a bubble of synctest has a clock that stands still while anybody computes: how
// fast the machine is does not matter.
type stalled struct {
	world *world.World
	host  string      // that never answers
	well  func() bool // nil is always
}

func (s stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == s.host || s.well != nil && !s.well() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.world.Transport().RoundTrip(r)
}

// client asks no other registries, and gives up every request before the test ends.
func (s stalled) client(t *testing.T) []oci.Option {
	t.Helper()
	t.Cleanup(func() { time.Sleep(time.Minute) })
	return []oci.Option{oci.WithTransport(s)}
}

// elsewhere is the image at a registry that never answers.
func elsewhere(w *world.World, image string) string {
	return strings.ReplaceAll(image, w.Registry(), stalledHost)
}

const stalledHost = "127.0.0.1:1"

// within decides with a deadline and wants an answer before it.
func within(t *testing.T, r *rig, deadline time.Duration, images ...string) rego.Decision {
	t.Helper()
	return withinOr(t, r, deadline, nothing, pod(images...))
}

// nothing is late, or all may be.
func nothing(rego.Decision) bool { return false }

// withinOr decides with a deadline and wants an answer before it, in which what could be
// judged is not late. What the product keeps free before a deadline is fixed, and a
// machine with other things to do may miss it: it is asked again for some minutes.
func withinOr(t *testing.T, r *rig, deadline time.Duration, late func(rego.Decision) bool, review []byte) rego.Decision {
	t.Helper()
	for begun := time.Now(); ; {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		d, err := r.Decide(ctx, review)
		past := ctx.Err() != nil
		cancel()
		patient := time.Since(begun) < 2*time.Minute
		switch {
		case err == nil && !past && (!late(d) || !patient):
			return d
		case !past && err != nil || !patient:
			t.Fatalf("got %v, past the deadline: %t, want a decision before it", err, past)
		}
	}
}

// TestHangingRegistryIsDeniedBeforeTheDeadline, and the other policy's failure,
// which is only to warn, still warns.
func TestHangingRegistryIsDeniedBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	image := elsewhere(w, byDigest(t, w, "app"))
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
			synctest.Test(t, func(t *testing.T) {
				r := open(t, w, setup{policies: policy("signed", tt.mode, ""), client: stalled{world: w, host: stalledHost}.client(t)})
				d := within(t, r, time.Second, image)
				if d.Allowed != tt.allowed || len(d.Reasons) != tt.reasons || len(d.Warnings) != tt.warnings {
					t.Errorf("got %s, want allowed %t, %d reasons, %d warnings", encode(t, d), tt.allowed, tt.reasons, tt.warnings)
				}
				if got := codes(d); !slices.Equal(got, []string{"timeout"}) {
					t.Errorf("got codes %v, want timeout", got)
				}
			})
		})
	}
}

// TestHangingRegistryHoldsUpNoOther: what another registry answered counts.
func TestHangingRegistryHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	synctest.Test(t, func(t *testing.T) {
		good := byDigest(t, w, "app")
		r := open(t, w, setup{client: stalled{world: w, host: stalledHost}.client(t)})
		d := within(t, r, time.Second, good, elsewhere(w, good))
		if d.Allowed || len(d.Images) != 2 {
			t.Fatalf("got %s, want denied", encode(t, d))
		}
		if got := d.Images[0].Policies[0].Outcome + ", " + d.Images[1].Policies[0].Outcome; got != "passed, failed" {
			t.Errorf("got %s, want passed, failed", got)
		}
	})
}

// TestChainOfHangingQuestionsEndsInTime: only the first question may wait, not
// each in its turn half of what is left.
func TestChainOfHangingQuestionsEndsInTime(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	synctest.Test(t, func(t *testing.T) {
		r := open(t, w, setup{
			client: stalled{world: w, host: stalledHost}.client(t), query: "data.policies.test.decision",
			modules: map[string]string{"test.rego": asking(`
a := cosign.verify(image, object.union(authority, {"name": "a"}))
b := cosign.verify(image, object.union(authority, {"name": "b"})) if not a.ok
c := cosign.verify(image, object.union(authority, {"name": "c"})) if b.ok == false
decision := {"allowed": false, "reasons": [answer.error.code | some answer in [a, b, c]]}
`)},
		})
		begun := time.Now()
		d := within(t, r, time.Second, elsewhere(w, byDigest(t, w, "app")))
		if got := strings.Join(d.Reasons, " "); got != "timeout timeout timeout" {
			t.Errorf("got %s, want three timeouts", got)
		}
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("got %v, want no more than what is left after the margin of half a second", took)
		}
	})
}

// TestTimeoutIsNeverKept: the clock of answers stands still, so what is kept would serve
// for ever; decisions find the registry well as soon as the hanging request is gone.
func TestTimeoutIsNeverKept(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		image := byDigest(t, w, "app")
		// The registry hangs for a second, its requests until the client gives them up.
		r := open(t, w, setup{client: stalled{world: w, well: func() bool { return time.Since(begun) >= time.Second }}.client(t)})
		d := within(t, r, 200*time.Millisecond, image)
		if got := codes(d); !slices.Equal(got, []string{"timeout"}) {
			t.Fatalf("got codes %v, want timeout", got)
		}
		for !d.Allowed {
			if time.Since(begun) > time.Minute {
				t.Fatalf("got %s, want admitted", encode(t, d))
			}
			d = within(t, r, 5*time.Second, image)
		}
	})
}

// TestSlowSourceCostsItsPolicy: the other one has its say.
func TestSlowSourceCostsItsPolicy(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	synctest.Test(t, func(t *testing.T) {
		r := open(t, w, setup{client: stalled{world: w, host: stalledHost}.client(t), policies: policy("beside", "", "") + "---\n" +
			policy("elsewhere", "  mode: warn\n", "    source: [{oci: "+stalledHost+"/acme/signatures}]\n")})
		d := within(t, r, 2*time.Second, byDigest(t, w, "app"))
		if !d.Allowed || len(d.Warnings) != 1 || !slices.Equal(codes(d), []string{"timeout"}) {
			t.Errorf("SRC-1: got %s, want admitted with a warning that the source did not answer", encode(t, d))
		}
	})
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
