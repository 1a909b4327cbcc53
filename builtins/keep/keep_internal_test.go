package keep

import (
	"fmt"
	"testing"
	"time"
)

func TestKeptIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cache := New[int](64 << 10)
	for i := range 1000 {
		cache.Put(fmt.Sprint(i), Lasting[int]{Value: i, Cost: 4 << 10})
		if cache.cost > cache.most {
			t.Fatalf("after %d: got %d bytes, want at most %d", i, cache.cost, cache.most)
		}
	}
	if _, ok := cache.Get("999", now); !ok {
		t.Error("the newest value is gone")
	}
	if _, ok := cache.Get("0", now); ok {
		t.Error("the oldest value is still there")
	}
	cache.Put("huge", Lasting[int]{Cost: 65 << 10})
	if _, ok := cache.Get("huge", now); ok {
		t.Error("a value larger than the bound was kept")
	}
	cache.Put("999", Lasting[int]{Value: 1, Cost: 1})
	if cache.cost < 0 || cache.cost > cache.most {
		t.Errorf("after a replacement: got %d bytes", cache.cost)
	}
}

func TestKeptEndsAtItsTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cache := New[int](1 << 20)
	cache.Put("a", Lasting[int]{Value: 1, Until: now.Add(time.Second)})
	if _, ok := cache.Get("a", now); !ok {
		t.Error("before the end: got nothing")
	}
	if _, ok := cache.Get("a", now.Add(time.Second)); ok {
		t.Error("at the end: got a value")
	}
}

// TestWhatIsFoundIsCounted, and what is made where it says so: looking twice for what is
// not there is not two misses.
func TestWhatIsFoundIsCounted(t *testing.T) {
	t.Parallel()
	looked, now := &Looked{}, time.Now()
	first, second := New[int](64<<10).Counted(looked), New[int](64<<10).Counted(looked)
	first.Put("a", Lasting[int]{Until: now.Add(time.Second)})
	second.Put("b", Lasting[int]{})
	first.Get("a", now)
	second.Get("b", now)
	first.Get("a", now.Add(time.Minute))
	second.Get("a", now)
	looked.Miss()
	if looked.Hits() != 2 || looked.Misses() != 1 {
		t.Errorf("got %d hits and %d misses, want 2 and 1", looked.Hits(), looked.Misses())
	}
	var nobody *Looked
	nobody.Miss()
	New[int](64<<10).Counted(nobody).Get("a", now)
}
