package trusted

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPollTellsOfEachFetch(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sign(t, l.push(t, "latest", "1"), "ci")
	f := l.fetcher(t, t.TempDir(), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var changed []bool
	f.Poll(ctx, Polling{Min: time.Millisecond, Max: time.Millisecond}, func(r Result, err error) error {
		if changed = append(changed, err == nil && r.Changed); len(changed) == 3 {
			cancel()
		}
		return err
	})
	if diff := cmp.Diff([]bool{true, false, false}, changed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPollingDelay(t *testing.T) {
	t.Parallel()
	p := Polling{Min: time.Minute, Max: 2 * time.Minute}
	for _, tt := range []struct {
		name           string
		failures       int
		least, longest time.Duration
	}{
		{"after a fetch", 0, time.Minute, 2 * time.Minute},
		{"after a failure", 1, time.Second / 2, time.Second},
		{"after four", 4, 4 * time.Second, 8 * time.Second},
		{"after many", 9, time.Minute, 2 * time.Minute},
		{"after a night", 100000, time.Minute, 2 * time.Minute},
	} {
		different := map[time.Duration]bool{}
		for range 100 {
			got := p.delay(tt.failures)
			if different[got] = true; got < tt.least || got > tt.longest {
				t.Errorf("%s: got %s, want from %s to %s", tt.name, got, tt.least, tt.longest)
			}
		}
		if len(different) < 50 {
			t.Errorf("%s: got %d different delays of 100, want them spread", tt.name, len(different))
		}
	}
	if got := (Polling{}).delay(0); got <= 0 {
		t.Errorf("got %s where nobody says anything, want no busy loop", got)
	}
}
