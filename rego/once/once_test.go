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
	l := s.Begin(p, p)
	defer l.Serves()
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
	if got := w.made.Load(); got != 2 {
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

// TestALoadEnds, however many things take long: they are made in the background, few at a
// time, and what a namespace brings takes none of the time of others.
func TestALoadEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, ownedMost atomic.Int32
		var told later
		store, began := once.NewStore(told.ready), time.Now()
		ask := func(l *once.Load, kind string, count int, most *atomic.Int32, takes time.Duration) (late int) {
			var at atomic.Int32
			for i := range count {
				_, err := once.Get(t.Context(), l, once.KeyOf(kind, string(rune('a'+i))), func(context.Context) (string, error) {
					running.Add(1)
					defer running.Add(-1)
					most.Store(max(most.Load(), at.Add(1)))
					defer at.Add(-1)
					time.Sleep(takes)
					return "x", nil
				})
				if errors.Is(err, once.ErrLater) {
					late++
				}
			}
			return late
		}
		l := store.Begin(once.Patience{Each: time.Second, All: 5 * time.Second}, once.Patience{Each: 250 * time.Millisecond, All: time.Second})
		if got := ask(l.Owned(), "owned", 20, &ownedMost, 8*time.Second); got != 20 {
			t.Errorf("of namespaces: got %d late, want 20", got)
		}
		if got := time.Since(began); got != time.Second {
			t.Errorf("of namespaces: got %s, want all their time", got)
		}
		if got := ask(l, "light", 20, &most, 100*time.Millisecond); got != 0 {
			t.Errorf("of the cluster: got %d late, want none", got)
		}
		if got := ask(l, "heavy", 20, &most, 8*time.Second); got != 20 {
			t.Errorf("of the cluster, heavy: got %d late, want 20", got)
		}
		if got := time.Since(began); got != 6*time.Second {
			t.Errorf("got %s, want all the time of both", got)
		}
		l.Serves()
		time.Sleep(3 * time.Minute)
		if got := running.Load(); got != 0 || most.Load() != 5 || ownedMost.Load() != 2 {
			t.Errorf("got %d running, at most %d at once and %d of namespaces, want none, 5 and 2", got, most.Load(), ownedMost.Load())
		}
		if got := told.told.Load(); got != 40 {
			t.Errorf("got told %d times, want of all that was late", got)
		}
		l = store.Begin(once.Patience{Each: time.Second}, once.Patience{Each: time.Second})
		if got := ask(l, "heavy", 20, &most, time.Hour) + ask(l.Owned(), "owned", 20, &most, time.Hour); got != 0 {
			t.Errorf("the next load: got %d late, want all there", got)
		}
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
	refused := func(texts ...string) {
		for _, text := range texts {
			_, _ = once.Get(t.Context(), store.Begin(once.Patience{}, once.Patience{}), once.KeyOf("text", text), w.of(text, 0))
		}
	}
	refused("other", "other", "other", "other") // which is made once, and nothing taken from what served
	ask("a", "b")
	if got := w.made.Load(); got != 3 {
		t.Errorf("got %d made, want 3", got)
	}
	ask("b")
	ask("b")
	ask("b")
	ask("a")
	if got := w.made.Load(); got != 4 {
		t.Errorf("got %d made, want the one that the loads before did without made anew", got)
	}
	refused("c", "d", "e", "f", "c")
	if got := w.made.Load(); got != 9 {
		t.Errorf("got %d made, want nothing kept of a load that was refused long ago", got)
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
