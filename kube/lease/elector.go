package lease

import "time"

// terms are the durations of an election. Renew is shorter than Duration: who leads stops
// before anybody else may begin.
type terms struct {
	// Duration is how long a lease is respected that nobody is seen to renew.
	Duration time.Duration
	// Renew is how long one leads on without renewing.
	Renew time.Duration
	// Retry is how often it is renewed, or tried.
	Retry time.Duration
}

// upstream are those of policy-controller (OP-8).
func upstream() terms {
	return terms{Duration: 15 * time.Second, Renew: 10 * time.Second, Retry: 2 * time.Second}
}

// record is what a Lease says.
type record struct {
	// version is that of the object, which every write changes.
	version string
	holder  string
	// duration is how long the holder wants to be respected.
	duration    time.Duration
	transitions int64
	// acquired is when the holder began, by its clock. It is copied and never compared.
	acquired string
}

// elector is what one contender knows, by its own clock alone: instants of other machines
// are compared with nothing. It decides, and talks to nobody.
type elector struct {
	identity string
	terms    terms

	seen   record
	seenAt time.Time // when seen was first seen
	// renewed is when the last write that succeeded was begun, zero for who does not lead.
	renewed time.Time
}

// observe takes in what was read, at the moment of the answer: it was written before.
func (e *elector) observe(now time.Time, found record) {
	if e.seenAt.IsZero() || found.version != e.seen.version {
		e.seenAt = now
	}
	e.seen = found
	if found.holder != e.identity {
		e.renewed = time.Time{}
	}
}

// may says whether to write: a lease of one's own, of nobody, or one that was not renewed
// for as long as its holder and we respect it.
func (e *elector) may(now time.Time) bool {
	if e.seen.holder == "" || e.seen.holder == e.identity {
		return true
	}
	return now.Sub(e.seenAt) > max(e.terms.Duration, e.seen.duration)
}

// next is what is written over what was seen.
func (e *elector) next(now time.Time) record {
	out := record{
		version: e.seen.version, holder: e.identity, duration: e.terms.Duration,
		transitions: e.seen.transitions, acquired: e.seen.acquired,
	}
	if e.seen.holder != e.identity {
		out.transitions, out.acquired = out.transitions+1, now.UTC().Format(microTime)
	}
	return out
}

// wrote takes in a write that succeeded, and when it was begun: nobody saw it earlier.
func (e *elector) wrote(begun, now time.Time, written record) {
	e.seen, e.seenAt, e.renewed = written, now, begun
}

// until is when to stop leading unless the lease is renewed.
func (e *elector) until() time.Time { return e.renewed.Add(e.terms.Renew) }

// leads says whether this contender leads.
func (e *elector) leads(now time.Time) bool {
	return !e.renewed.IsZero() && now.Before(e.until())
}

// resign is for who has stopped.
func (e *elector) resign() { e.renewed = time.Time{} }
