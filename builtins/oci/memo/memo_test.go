package memo

import (
	"testing"
	"time"
)

func TestCacheIsBoundedByCost(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c, err := NewCache(10, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	k := func(s string) Key { return Key{About: s} }
	c.Put(k("a"), Answer{Value: "a", Cost: 4, TTL: Forever})
	c.Put(k("b"), Answer{Value: "b", Cost: 4, TTL: time.Second})
	c.Put(k("a"), Answer{Value: "a2", Cost: 5, TTL: Forever})
	c.Put(k("too large"), Answer{Value: "x", Cost: 11, TTL: Forever})
	c.Put(k("not kept"), Answer{Value: "x", Cost: 1})
	if v, ok := c.Get(k("a")); !ok || v != "a2" || c.cost != 9 || c.lru.Len() != 2 {
		t.Errorf("got %v, cost %d of %d entries, want a2, 9 of 2", v, c.cost, c.lru.Len())
	}
	c.Put(k("c"), Answer{Value: "c", Cost: 3, TTL: Forever})
	if _, ok := c.Get(k("b")); ok || c.cost != 8 {
		t.Errorf("got b kept %t at cost %d, want the least recently used gone at cost 8", ok, c.cost)
	}
	c.Shorten(k("a"), "a", time.Second)
	c.Shorten(k("a"), "a2", Forever)
	c.Drop(k("a"), "a")
	c.Drop(k("c"), "c")
	if _, ok := c.Get(k("a")); !ok || c.cost != 5 {
		t.Errorf("got a kept %t at cost %d, want a newer value to survive at cost 5", ok, c.cost)
	}
}

func TestAKeptValueIsShortened(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c, err := NewCache(10, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	k := Key{About: "a"}
	c.Put(k, Answer{Value: "a", Cost: 1, TTL: time.Minute})
	now = now.Add(time.Second)
	c.Shorten(k, "a", 2*time.Second)
	if _, ok := c.Get(k); !ok || c.cost != 1 {
		t.Errorf("got kept %t at cost %d, want it kept at cost 1", ok, c.cost)
	}
	now = now.Add(time.Second)
	if _, ok := c.Get(k); ok || c.cost != 0 {
		t.Errorf("got kept %t at cost %d, want it gone 2 s after it was put", ok, c.cost)
	}
}

func TestKeysCannotBeSpelledAlike(t *testing.T) {
	t.Parallel()
	a := Key{Tenant: "alice", Call: "signatures", About: "x"}
	for _, b := range []Key{{"alice signatures", "", "x"}, {`alice" "signatures`, "", "x"}, {"alice", "signatures x", ""}, {"", "alice", "x"}} {
		if a.String() == b.String() {
			t.Errorf("got the same key %s for %#v and %#v", a, a, b)
		}
	}
}
