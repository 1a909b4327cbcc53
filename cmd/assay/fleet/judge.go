package fleet

import (
	"maps"
	"slices"
	"time"

	"github.com/assay-dev/assay/cmd/assay/fleet/standing"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

// known is what was read of a replica.
type known struct {
	*held
	update *update // nil where there is none that can be read
	tally  *tally
}

// replica says how a replica is, by itself.
func (k known) replica(q question) Replica {
	now := q.now
	out := Replica{Cluster: k.cluster, Name: k.place.replica, Bundles: []Bundle{}, States: []State{}, tally: *k.tally}
	seen := past(now, k.tally.newest)
	if k.status != nil {
		seen = later(seen, past(now, k.status.Modified))
	}
	if k.update == nil {
		out.States = append(out.States, Unknown)
	} else {
		seen = later(seen, k.update.newest(now))
		out.Losses, out.Failures = k.update.losses, k.update.failures
		bundles, expired := k.update.bundles(), false
		for _, name := range slices.Sorted(maps.Keys(bundles)) {
			b := bundles[name].bundle(name, k.update.more(name), seen, q)
			expired = expired || slices.Contains(b.States, Expired)
			out.Bundles = append(out.Bundles, b)
		}
		if k.update.denies != "" && !expired { // else the bundle says it
			out.Failures = append(slices.Clip(out.Failures), k.update.denies)
		}
		if len(out.Failures) > 0 {
			out.States = append(out.States, Failing)
		}
	}
	if out.Seen = at(seen); seen.IsZero() || now.Sub(seen) > q.stale {
		out.States = append(out.States, Stale)
	}
	return out
}

// more is what the replica says of a bundle beside OPA.
func (u *update) more(name string) standing.Bundle {
	if u.standing == nil {
		return standing.Bundle{}
	}
	return u.standing.Bundles[name]
}

// bundle says how a bundle is. Where its server was never reached, as with a file that does not
// say so, how old it is is how long ago the replica was seen. Where it is fetched in OPA's place,
// what OPA reached is the replica itself, which is no news of the source.
func (b *bundleStatus) bundle(name string, more standing.Bundle, seen time.Time, q question) Bundle {
	out := Bundle{
		Name: brief(name), Revision: b.ActiveRevision, Activated: at(b.Activated), Reached: at(b.Reached),
		States: []State{}, Failure: b.failure(), Age: -1,
	}
	if reached := past(q.now, b.Reached); !reached.IsZero() {
		seen = reached
	}
	if from := more.Source; from != nil {
		out.Reached, seen = at(from.Confirmed), past(q.now, from.Confirmed)
		if out.Failure == "" {
			out.Failure = from.Error
		}
	}
	if !seen.IsZero() {
		out.Age = int64(max(q.now.Sub(seen), 0).Seconds())
	}
	if out.Failure == "" && b.Activated.IsZero() {
		out.Failure = "no revision is active"
	}
	if out.Failure != "" {
		out.States = append(out.States, Failing)
	}
	if seen.IsZero() || q.now.Sub(seen) > q.stale {
		out.States = append(out.States, Stale)
	}
	out.Expires = at(more.Expires)
	switch left := more.Expires.Sub(q.now); {
	case out.Expires == nil:
	case left <= 0:
		out.States = append(out.States, Expired)
	case left <= q.soon:
		out.States = append(out.States, Expiring)
	}
	return out
}

// past is a time, and none where it lies in the future: by a clock that is wrong nobody is fresh.
func past(now, t time.Time) time.Time {
	const skew = time.Minute
	if t.After(now.Add(skew)) {
		return time.Time{}
	}
	return t
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// compare says which bundles are behind the rest of the fleet. Revisions with an order are held to the highest, which
// need not be the one that most have; those without to the one that most have.
func compare(replicas []Replica) (revisions map[string][]Count) {
	running := map[string]map[string]int64{}
	each(replicas, func(b *Bundle) {
		if b.Activated == nil {
			return
		}
		if running[b.Name] == nil {
			running[b.Name] = map[string]int64{}
		}
		running[b.Name][b.Revision]++
	})
	revisions = map[string][]Count{}
	highest := map[string]string{}
	for name, counts := range running {
		revisions[name] = top(counts, maxNames)
		highest[name] = highestOf(revisions[name])
	}
	each(replicas, func(b *Bundle) {
		best, most := highest[b.Name], revisions[b.Name]
		switch order, err := fresh.Compare(b.Revision, best); {
		case b.Activated == nil:
		case best != "" && err == nil && order < 0:
			b.States = append(b.States, Behind)
		case best != "" && err == nil:
		case b.Revision != most[0].Name:
			b.States = append(b.States, Differs)
		}
	})
	return revisions
}

func each(replicas []Replica, of func(*Bundle)) {
	for i := range replicas {
		for j := range replicas[i].Bundles {
			of(&replicas[i].Bundles[j])
		}
	}
}

// highestOf is the highest revision that has an order, "" where none has.
func highestOf(revisions []Count) string {
	best := ""
	for _, r := range revisions {
		if _, err := fresh.Compare(r.Name, r.Name); err != nil {
			continue
		}
		if best == "" {
			best = r.Name
		}
		if order, err := fresh.Compare(r.Name, best); err == nil && order > 0 {
			best = r.Name
		}
	}
	return best
}
