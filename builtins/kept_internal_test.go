package builtins

import (
	"fmt"
	"testing"
	"time"
)

func TestKeptIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cache := keeping[int](64 << 10)
	for i := range 1000 {
		cache.put(fmt.Sprint(i), lasting[int]{value: i, cost: 4 << 10})
		if cache.cost > cache.most {
			t.Fatalf("after %d: got %d bytes, want at most %d", i, cache.cost, cache.most)
		}
	}
	if _, ok := cache.get("999", now); !ok {
		t.Error("the newest value is gone")
	}
	if _, ok := cache.get("0", now); ok {
		t.Error("the oldest value is still there")
	}
	cache.put("huge", lasting[int]{cost: 65 << 10})
	if _, ok := cache.get("huge", now); ok {
		t.Error("a value larger than the bound was kept")
	}
	cache.put("999", lasting[int]{value: 1, cost: 1})
	if cache.cost < 0 || cache.cost > cache.most {
		t.Errorf("after a replacement: got %d bytes", cache.cost)
	}
}

func TestKeptEndsAtItsTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cache := keeping[int](1 << 20)
	cache.put("a", lasting[int]{value: 1, until: now.Add(time.Second)})
	if _, ok := cache.get("a", now); !ok {
		t.Error("before the end: got nothing")
	}
	if _, ok := cache.get("a", now.Add(time.Second)); ok {
		t.Error("at the end: got a value")
	}
}
