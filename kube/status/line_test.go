package status

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDryRunsAreNoEvents(t *testing.T) {
	t.Parallel()
	d := NewDenials(nil, "assay-0", slog.New(slog.DiscardHandler))
	d.Denied(Denial{DryRun: true})
	if _, ok := d.line.next(); ok {
		t.Error("got an event, want none")
	}
}

// TestNoTenantSilencesAnother: whatever one of them does, the denials of another are told of,
// at the latest after one of each namespace.
func TestNoTenantSilencesAnother(t *testing.T) {
	t.Parallel()
	large := make([]byte, mostObject)
	for name, flood := range map[string][]Denial{
		"many denials in one namespace":             repeat(1000, func(int) Denial { return Denial{Namespace: "loud"} }),
		"large objects":                             repeat(1000, func(int) Denial { return Denial{Namespace: "loud", Object: large} }),
		"objects that are too large":                repeat(1000, func(int) Denial { return Denial{Namespace: "loud", Object: make([]byte, mostObject+1)} }),
		"many namespaces":                           repeat(1000, func(i int) Denial { return Denial{Namespace: fmt.Sprint("loud-", i%100)} }),
		"a large object in each of many namespaces": repeat(1000, func(i int) Denial { return Denial{Namespace: fmt.Sprint("loud-", i%100), Object: large} }),
		"long reasons": repeat(1000, func(i int) Denial {
			return Denial{Namespace: fmt.Sprint("loud-", i%20), Reasons: []string{strings.Repeat("x", 1<<14)}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine()
			for i, denial := range flood {
				if l.join(denial); i == len(flood)-10 {
					l.join(Denial{Namespace: "quiet", Name: "web", Object: large})
				}
				if l.bytes > mostBytes || l.bytes < 0 {
					t.Fatalf("got %d bytes waiting, want at most %d", l.bytes, mostBytes)
				}
			}
			namespaces := len(l.of)
			for turn := 0; ; turn++ {
				denial, ok := l.next()
				if !ok || turn > namespaces {
					t.Fatalf("after %d turns of %d namespaces: got nothing of the quiet one", turn, namespaces)
				}
				if denial.Namespace == "quiet" && denial.Name == "web" {
					break
				}
			}
		})
	}
}

func repeat(times int, make func(int) Denial) (out []Denial) {
	for i := range times {
		out = append(out, make(i))
	}
	return out
}

func TestNamespacesAreServedInTurn(t *testing.T) {
	t.Parallel()
	l := newLine()
	for _, at := range []string{"a1", "a2", "a3", "b1", "c1", "c2"} {
		if lost := l.join(Denial{Namespace: at[:1], Name: at}); lost != 0 {
			t.Errorf("%s: got %d lost, want none", at, lost)
		}
	}
	var got []string
	for {
		denial, ok := l.next()
		if !ok {
			break
		}
		got = append(got, denial.Name)
	}
	if want := "[a1 b1 c1 a2 c2 a3]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if l.bytes != 0 || len(l.of) != 0 || len(l.turns) != 0 {
		t.Errorf("got %d bytes of %d namespaces left, want nothing", l.bytes, len(l.of))
	}
}

// TestLostDenialsAreCounted, those that gave way too.
func TestLostDenialsAreCounted(t *testing.T) {
	t.Parallel()
	d := NewDenials(nil, "assay-0", slog.New(slog.DiscardHandler))
	const made = 3000
	for i := range made {
		d.Denied(Denial{Namespace: fmt.Sprint(i % 200), Object: make([]byte, i%7<<15)})
	}
	waiting := uint64(0)
	for _, ok := d.line.next(); ok; _, ok = d.line.next() {
		waiting++
	}
	if got := d.Dropped(); got+waiting != made || waiting == 0 || waiting > mostBytes/denialSize {
		t.Errorf("got %d dropped and %d waiting, want %d in all", got, waiting, made)
	}
}

func TestReasonsAreKeptAsFarAsTheyAreTold(t *testing.T) {
	t.Parallel()
	long := Denial{Namespace: "shop", Kind: "Pod", Name: "web", Reasons: []string{"a", strings.Repeat("b", 3000), "c"}}
	if got, want := cut(long.short().event().note, mostNote), cut(long.event().note, mostNote); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Denial{Reasons: []string{"a", "b"}}).short().Reasons; fmt.Sprint(got) != "[a b]" {
		t.Errorf("got %v, want both", got)
	}
}

func TestOwnersAreLimited(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	count := func(owner string, tries int) (admitted int) {
		for range tries {
			if l.admits(Reference{Name: owner}) {
				admitted++
			}
		}
		return admitted
	}
	if got := count("web", 100); got != ownerBurst {
		t.Errorf("one owner: got %d, want %d", got, ownerBurst)
	}
	if got := count("db", 1); got != 1 {
		t.Errorf("another owner: got %d, want 1", got)
	}
	for i := range mostOwners + 100 {
		count(fmt.Sprint(i), 1)
	}
	if got := l.owners.Len(); got > mostOwners {
		t.Errorf("got %d owners, want at most %d", got, mostOwners)
	}
}

// TestEventsOfAllAreBounded by time: those that are too many wait.
func TestEventsOfAllAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, begun := newLimiter(), time.Now()
		for range denialsBurst + 10*denialsPerSec {
			if err := l.all.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(begun).Round(time.Second); got != 10*time.Second {
			t.Errorf("got %d events in %v, want that to take 10s", denialsBurst+10*denialsPerSec, got)
		}
	})
}
