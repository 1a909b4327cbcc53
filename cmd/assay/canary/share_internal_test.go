package canary

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
)

// TestCandidateKeepsToItsShare has a candidate that works for a second at a time.
func TestCandidateKeepsToItsShare(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]time.Duration{0.2: 50 * time.Second, 0.5: 20 * time.Second, 1: 10 * time.Second, 0: 50 * time.Second, 7: 50 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, began := New(Options{Share: share}), time.Now()
			for range 10 {
				time.Sleep(time.Second)
				c.rest(time.Second)
			}
			if got := time.Since(began).Round(time.Second); got != want {
				t.Errorf("share %v: got %s for ten seconds of work, want %s", share, got, want)
			}
		})
	}
}

// TestRestEndsWithTheProgram, however long it worked.
func TestRestEndsWithTheProgram(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, began := New(Options{}), time.Now()
		close(c.end)
		c.rest(time.Hour)
		if got := time.Since(began); got != 0 {
			t.Errorf("got %s, want none", got)
		}
	})
}

// TestAllowance is that of a minute, and another one the next.
func TestAllowance(t *testing.T) {
	t.Parallel()
	now, took := time.Unix(0, 0), 0
	a := &allowance{most: 2, now: func() time.Time { return now }, took: func() { took++ }}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, true}, {0, false}, {59 * time.Second, false}, {time.Second, true}, {0, true}, {0, false}} {
		now = now.Add(tt.after)
		if left := a.Left(); left != tt.want {
			t.Errorf("at %s: got %t left, want %t", now, left, tt.want)
		}
		if got := a.Take(); got != tt.want {
			t.Errorf("at %s: got %t, want %t", now, got, tt.want)
		}
	}
	if took != 4 {
		t.Errorf("got %d told, want 4", took)
	}
}

// TestPanicIsUnknown: a decision over which the candidate panics was tried, and is not known.
func TestPanicIsUnknown(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	broken := newTrial(Candidate{Name: "main"}, c.options, nil)
	broken.compiled, broken.shadow = true, &recording.Shadow{} // which has nothing to judge by
	c.current.Store(broken)
	c.try(waiting{made: rego.Made{Set: &rego.Set{}}, trial: broken})
	if got := c.Report(); got.Decisions[Unknown] != 1 || got.Dropped != 0 {
		t.Errorf("got %v and %d dropped, want one unknown", got.Decisions, got.Dropped)
	}
}
