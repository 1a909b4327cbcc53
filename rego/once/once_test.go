package once_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-dev/assay/rego/once"
)

// works counts what is made, and takes a while for it.
type works struct{ made atomic.Int32 }

func (w *works) of(value string, takes time.Duration) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		w.made.Add(1)
		time.Sleep(takes) // of a fake clock
		return value, nil
	}
}

// later counts what a store tells of.
type later struct{ told atomic.Int32 }

func (l *later) ready() { l.told.Add(1) }

func load(s *once.Store, p once.Patience, ask func(*once.Load)) *once.Load {
	l := s.Begin(p)
	defer l.End()
	ask(l)
	return l
}

func wants(t *testing.T, what, want string, wantErr error, got string, err error) {
	t.Helper()
	if got != want || !errors.Is(err, wantErr) {
		t.Errorf("%s: got %q and %v, want %q and %v", what, got, err, want, wantErr)
	}
}

func TestOfOneContentOneIsMade(t *testing.T) {
	t.Parallel()
	var w works
	store := once.NewStore(func() { t.Error("got told, want nothing to tell") })
	for range 3 {
		load(store, once.Patience{}, func(l *once.Load) {
			for range 2 {
				got, err := once.Get(t.Context(), l, once.KeyOf("text", "a"), w.of("A", 0))
				wants(t, "a", "A", nil, got, err)
			}
		})
	}
	if got := w.made.Load(); got != 1 {
		t.Errorf("got it made %d times, want once", got)
	}
	load(nil, once.Patience{}, func(l *once.Load) {
		got, err := once.Get(t.Context(), l, once.KeyOf("text", "a"), w.of("A", 0))
		wants(t, "without a store", "A", nil, got, err)
	})
	if got := w.made.Load(); got != 2 || (*once.Load)(nil).Left() != 0 {
		t.Errorf("without a store: got it made %d times, want anew", got)
	}
}

func TestKeysSayWhatIsMadeOfWhat(t *testing.T) {
	t.Parallel()
	seen := map[once.Key]int{}
	for i, key := range []once.Key{
		once.KeyOf("a", "b", "c"), once.KeyOf("a", "bc"), once.KeyOf("a", "bc", ""), once.KeyOf("a", "b\n1\nc"), once.KeyOf("ab", "c"), once.KeyOf[string]("a"),
	} {
		if before, twice := seen[key]; twice {
			t.Errorf("got one key of %d and %d, want two", before, i)
		}
		seen[key] = i
	}
}

// TestWhatTakesLongKeepsNobodyWaiting: not the others of its load, nor the next load; and once it is
// there it serves.
func TestWhatTakesLongKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w works
		var l later
		store, heavy, light := once.NewStore(l.ready), once.KeyOf("text", "heavy"), once.KeyOf("text", "light")
		patience := once.Patience{Each: time.Second, All: 5 * time.Second}
		began := time.Now()
		for range 3 {
			load(store, patience, func(l *once.Load) {
				got, err := once.Get(t.Context(), l, heavy, w.of("H", 20*time.Second))
				wants(t, "heavy", "", once.ErrLater, got, err)
				got, err = once.Get(t.Context(), l, light, w.of("L", 10*time.Millisecond))
				wants(t, "light", "L", nil, got, err)
			})
		}
		if got := time.Since(began); got > 1100*time.Millisecond {
			t.Errorf("three loads: got %s, want its second once", got)
		}
		time.Sleep(30 * time.Second)
		if got := l.told.Load(); got != 1 {
			t.Errorf("got told %d times, want once", got)
		}
		load(store, patience, func(l *once.Load) {
			got, err := once.Get(t.Context(), l, heavy, w.of("H", 20*time.Second))
			wants(t, "heavy, once it is there", "H", nil, got, err)
		})
		if got := w.made.Load(); got != 2 {
			t.Errorf("got %d made, want each once", got)
		}
	})
}

// TestALoadEnds, however many things take long: what it did not begin is left for the next one.
func TestALoadEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w works
		var told later
		store, began, left := once.NewStore(told.ready), time.Now(), 100
		for loads := 1; left > 0; loads++ {
			done := load(store, once.Patience{Each: time.Second, All: 5 * time.Second}, func(l *once.Load) {
				for i := range 20 {
					got, err := once.Get(t.Context(), l, once.KeyOf("text", string(rune('a'+i))), w.of("x", 8*time.Second))
					if err != nil {
						wants(t, "one of many", "", once.ErrLater, got, err)
					}
				}
			})
			if left = done.Left(); loads > 20 {
				t.Fatalf("got %d left after %d loads, want none", left, loads)
			}
		}
		if took := time.Since(began); took < 15*time.Second || took > 25*time.Second {
			t.Errorf("got %s, want a second each", took)
		}
		if got := w.made.Load(); got != 20 {
			t.Errorf("got %d begun, want 20", got)
		}
		time.Sleep(time.Minute)
	})
}

func TestWhatNobodyAsksForIsForgotten(t *testing.T) {
	t.Parallel()
	var w works
	store := once.NewStore(func() {})
	ask := func(texts ...string) {
		load(store, once.Patience{}, func(l *once.Load) {
			for _, text := range texts {
				if _, err := once.Get(t.Context(), l, once.KeyOf("text", text), w.of(text, 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ask("a", "b")
	ask("b")
	ask("a", "b") // a load that was refused in between forgets nothing
	if got := w.made.Load(); got != 2 {
		t.Errorf("got %d made, want 2", got)
	}
	ask("b")
	ask("b")
	ask("a")
	if got := w.made.Load(); got != 3 {
		t.Errorf("got %d made, want the one that two loads did without made anew", got)
	}
}

func TestFailuresAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, made, wrong := once.NewStore(func() {}), 0, errors.New("wrong")
		get := func(l *once.Load, kind string, fails error) error {
			_, err := once.Get(t.Context(), l, once.KeyOf(kind, "x"), func(context.Context) (string, error) {
				if made++; fails == nil {
					panic("inside")
				}
				return "", fails
			})
			return err
		}
		all := func() {
			load(store, once.Patience{}, func(l *once.Load) {
				if err := get(l, "wrong", wrong); !errors.Is(err, wrong) {
					t.Errorf("got %v, want %v", err, wrong)
				}
				if err := get(l, "panics", nil); err == nil || err.Error() != "panicked: inside" {
					t.Errorf("got %v, want the panic as an error", err)
				}
				if err := get(l, "late", context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
				}
			})
		}
		all()
		if all(); made != 3 {
			t.Errorf("got %d made, want each once", made)
		}
		time.Sleep(10 * time.Minute) // the machine may have been busy
		if all(); made != 4 {
			t.Errorf("got %d made, want what ran out of time tried again, and nothing else", made)
		}
	})
}

// TestAnEndedContextWaitsForNothing, and what it began is there for the next.
func TestAnEndedContextWaitsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w works
		store, key := once.NewStore(func() {}), once.KeyOf("text", "a")
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		cancel(stopped)
		load(store, once.Patience{}, func(l *once.Load) {
			got, err := once.Get(ctx, l, key, w.of("A", time.Second))
			wants(t, "ended", "", stopped, got, err)
		})
		load(store, once.Patience{}, func(l *once.Load) {
			got, err := once.Get(t.Context(), l, key, w.of("A", time.Second))
			wants(t, "the next", "A", nil, got, err)
		})
		if got := w.made.Load(); got != 1 {
			t.Errorf("got %d made, want 1", got)
		}
	})
}
