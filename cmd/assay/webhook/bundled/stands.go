package bundled

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
	"github.com/assay-dev/assay/rego/bundle"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

const (
	// lookEvery is how often it is looked how we are.
	lookEvery = 5 * time.Second
	// countEvery and tellEvery are for how long the status is silent about what is counted, and
	// where there is no news: who reads it asks how long ago we were heard of.
	countEvery = time.Minute
	tellEvery  = 5 * time.Minute
	// lastTime bounds the last status.
	lastTime = time.Second
)

// stands is how we are, for OPA's status. The zero value has not looked yet.
type stands struct {
	counts sync.Map // *atomic.Int64 by counted
	latest atomic.Pointer[standing.Standing]
	// telling says that OPA's plugin is told: that lasts as long as its sink, which may hang.
	telling atomic.Bool

	// Of who looks alone: when OPA was told last, and of what.
	at                     time.Time
	said, lasting, counted string
}

// counted is by what entries of decision logs are counted.
type counted struct {
	place  outcome.Place
	result outcome.Result
}

// became counts entries. It does not wait.
func (s *stands) became(place outcome.Place, result outcome.Result, entries int) {
	count, known := s.counts.Load(counted{place, result})
	if !known {
		count, _ = s.counts.LoadOrStore(counted{place, result}, new(atomic.Int64))
	}
	count.(*atomic.Int64).Add(int64(entries))
}

func (s *stands) entries() map[outcome.Place]map[outcome.Result]int64 {
	out := map[outcome.Place]map[outcome.Result]int64{}
	s.counts.Range(func(key, count any) bool {
		of := key.(counted)
		if out[of.place] == nil {
			out[of.place] = map[outcome.Result]int64{}
		}
		out[of.place][of.result] = count.(*atomic.Int64).Load()
		return true
	})
	return out
}

// about is how we were when it was last looked: OPA asks while others wait for it.
func (s *stands) about() any {
	if latest := s.latest.Load(); latest != nil {
		return latest
	}
	return nil
}

// tell has OPA told beside, unless it still is. An error is OPA's own, which it logs.
func (s *stands) tell(do func()) (begun bool) {
	if !s.telling.CompareAndSwap(false, true) {
		return false
	}
	go func() {
		defer s.telling.Store(false)
		do()
	}()
	return true
}

// keepTelling lets the status say how we are until ctx ends.
func (b *Bundles) keepTelling(ctx context.Context) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		b.look(time.Now()) //nolint:contextcheck // OPA has one of its own for what it sends
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// look sees how we are, and has OPA send a status where that is news. Nothing is said of a plugin
// before one is wrong: while a program starts, over a sink that hangs, others need that channel.
func (b *Bundles) look(now time.Time) {
	s, next := &b.stands, b.standing()
	s.latest.Store(next)
	wrong := strings.Join(b.past(now), "; ")
	lasting, counted := lastingOf(*next), countedOf(*next)
	tell := func() { _ = decisions.Send(b.manager.OPA()) }
	switch quiet := now.Sub(s.at); {
	case wrong != s.said: // a new state of a plugin has OPA send one
		tell = func() { decisions.Say(b.manager.OPA(), standing.Key, wrong != "", wrong) }
	case lasting != s.lasting, counted != s.counted && quiet >= countEvery, quiet >= tellEvery:
	default:
		return
	}
	if s.tell(tell) {
		s.at, s.said, s.lasting, s.counted = now, wrong, lasting, counted
	}
}

// lastWord sends what was counted until the end, and that it is the end, as far as there is time. What OPA
// sends after it says so too. Nobody may look any more. What assay_store loses
// after it is counted nowhere but in its own log.
func (b *Bundles) lastWord() {
	last := b.standing()
	last.Stopped = time.Now().UTC()
	b.stands.latest.Store(last)
	done := make(chan struct{})
	if !b.stands.tell(func() { _ = decisions.Send(b.manager.OPA()); close(done) }) {
		return
	}
	timer := time.NewTimer(lastTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// past are the causes why active bundles deny.
func (b *Bundles) past(now time.Time) (causes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := fresh.Expired(b.found.Expires, now); err != nil {
		causes = append(causes, fmt.Sprintf("%s: %s", configured.DiscoveryName, err))
	}
	for _, of := range b.active {
		if err := ended(of, now); err != nil {
			causes = append(causes, err.Error())
		}
	}
	return causes
}

// standing is how we are.
func (b *Bundles) standing() *standing.Standing {
	out := &standing.Standing{Bundles: map[string]standing.Bundle{}, Entries: b.stands.entries()}
	b.mu.Lock()
	for _, of := range b.active {
		if at := of.About.Expires; !at.IsZero() {
			out.Bundles[of.Name] = standing.Bundle{Expires: at.UTC()}
		}
	}
	b.mu.Unlock()
	if b.trust != nil {
		fetched := map[string]bundle.Status{}
		b.trust.Tell(fetched)
		for name, status := range fetched {
			of := out.Bundles[name]
			of.Source = &standing.Source{Confirmed: status.Confirmed, Error: standing.Brief(status.Error)}
			out.Bundles[name] = of
		}
	}
	if b.candidate != nil {
		if report := b.candidate.tried.Report(); !report.Since.IsZero() {
			brief := report.Brief()
			out.Canary = &brief
		}
	}
	return out
}

// lastingOf is what seldom changes of how we are, and countedOf what does all the time.
func lastingOf(s standing.Standing) string {
	bundles := map[string]standing.Bundle{}
	for name, of := range s.Bundles {
		if of.Source != nil {
			of.Source = &standing.Source{Error: of.Source.Error}
		}
		bundles[name] = of
	}
	candidate := []string{}
	if c := s.Canary; c != nil {
		candidate = []string{c.Name, c.Revision, c.Digest, c.Content, c.Set, c.Error, c.Source}
	}
	return texts(bundles, candidate)
}

func countedOf(s standing.Standing) string {
	if s.Canary == nil {
		return texts(s.Bundles, s.Entries)
	}
	return texts(s.Bundles, s.Entries, s.Canary.Decisions, s.Canary.Dropped)
}

func texts(of ...any) string {
	text, _ := json.Marshal(of) // maps are in the order of their names
	return string(text)
}
