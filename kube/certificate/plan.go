package certificate

import "time"

// step is what the leader does next to the Secret.
type step int

const (
	rest      step = iota
	found          // make a CA, and a leaf of it: there is nothing yet
	restore        // write again what somebody deleted
	renew          // another leaf of the CA that signed this one
	introduce      // another CA beside those that are trusted, which signs nothing yet
	change         // a leaf of the newest CA, which is trusted everywhere by now
	retire         // only the newest CA: nobody serves a leaf of another any longer
)

// String names a step in the log.
func (s step) String() string {
	return [...]string{"rest", "made a CA and a certificate", "restored", "renewed the certificate",
		"introduced another CA", "changed to a certificate of the new CA", "retired the old CA"}[s]
}

// view is what the leader knows. Instants are of its own clock, and are zero if what
// they are about does not hold now.
type view struct {
	// state is what the Secret holds, or last held; nil if that was never anything.
	state *state
	// absent says that the Secret holds nothing now.
	absent bool
	// spread is since when every configuration has been seen to trust the CAs of state, and
	// those alone.
	spread time.Time
	// served is since when the Secret has been seen to hold the leaf of state.
	served time.Time
}

// plan says what to do, and when to ask again if that is to rest. A CA is replaced in
// three steps, with a lag between them, so that whatever leaf a replica serves verifies
// with whatever CAs an API server trusts:
//
//	trusted    old        old and new         old and new    new
//	leaf of    old        old                 new            new
//	           introduce           …  change         …  retire
//
// The wait before change begins when the CAs are in every configuration, and that before
// retire when the leaf is in the Secret.
func (t terms) plan(v view, now time.Time) (step, time.Time) {
	if v.state == nil {
		return found, now
	}
	if v.absent {
		return restore, now
	}
	s := v.state
	at, next := due(s.authorities[s.newest()].certificate, t.authority), introduce
	switch {
	case s.issuer != s.newest():
		at, next = t.after(v.spread, now), change
	case len(s.authorities) > 1:
		at, next = t.after(v.served, now), retire
	}
	if !now.Before(at) {
		return next, now
	}
	issuer := s.authorities[s.issuer]
	if issuer.key == nil || !t.leafEnd(issuer, now).After(s.leaf.Leaf.NotAfter) {
		return rest, at // another would last no longer
	}
	renewal := due(s.leaf.Leaf, t.leaf)
	if !now.Before(renewal) {
		return renew, now
	}
	if renewal.Before(at) {
		return rest, renewal
	}
	return rest, at
}

// after is a lag after something began to hold, and never if it does not.
func (t terms) after(since, now time.Time) time.Time {
	if since.IsZero() {
		return now.Add(t.authority)
	}
	return since.Add(t.lag)
}
