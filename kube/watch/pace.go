package watch

import "time"

// A burst of events is one change: it has ended when nothing came for quiet, and is told
// of at the latest after late. Two changes are apart, for a burst may have pauses and each
// may cost the compilation of all policies.
const (
	quiet = 100 * time.Millisecond
	apart = 500 * time.Millisecond
	late  = time.Second
)

// pace says when a burst of events is told of. The zero value waits for one to begin.
type pace struct{ first, last, told time.Time }

// touch takes in an event.
func (p *pace) touch(now time.Time) {
	if p.first.IsZero() {
		p.first = now
	}
	p.last = now
}

// idle says that nothing is to be told.
func (p pace) idle() bool { return p.first.IsZero() }

// due is when the burst is told of. While something is on its way that belongs to it, a
// Secret that a new policy refers to, that is as late as it may be.
func (p pace) due(complete bool) time.Time {
	latest := p.first.Add(late)
	settled := p.last.Add(quiet)
	if next := p.told.Add(apart); next.After(settled) {
		settled = next
	}
	if complete && settled.Before(latest) {
		return settled
	}
	return latest
}

// tell ends the burst.
func (p *pace) tell(now time.Time) { *p = pace{told: now} }
